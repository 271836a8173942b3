"""What networks are made of: layers, losses, critics."""
