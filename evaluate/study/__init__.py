"""A study with people: which of two images looks more like a photograph, and what they said."""
