"""What rows gain, with intervals, in words and in labels."""
