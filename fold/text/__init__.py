"""What transcripts are made of."""
