"""Evaluation: WER of paths, and what it takes to compute them."""
