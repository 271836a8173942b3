"""What painters share."""
