"""Learn palettes, layouts and painting; produce pairs."""
