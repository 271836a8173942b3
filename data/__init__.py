"""What a pair is, how it is stored, read and checked."""
