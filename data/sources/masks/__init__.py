"""What the pixels of masks mean: encodings, classes, palettes, one mask a class."""
