"""Real objects moved between real pairs: cut, described by laws, placed, pasted."""
