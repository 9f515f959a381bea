"""What each depth and precision costs on this machine, and which to use."""
