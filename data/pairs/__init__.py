"""What flows: pairs, their classes, and how they are stored and read."""
