"""What layout methods share."""
