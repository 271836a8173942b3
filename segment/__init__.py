"""Learn image -> label on MMSegmentation, from pair sets."""
