"""The law of palettes, and palettes that are asked for."""
