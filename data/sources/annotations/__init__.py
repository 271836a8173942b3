"""Images with the outlines and masks that labelling tools write: one file for each format."""
