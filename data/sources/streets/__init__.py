"""The embedded data set: a seeded renderer of street scenes in the Cityscapes layout."""
