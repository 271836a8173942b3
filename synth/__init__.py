"""Learn palettes, layouts and painting; produce pairs."""

import data  # noqa: F401  # before PyTorch is loaded: it says how threads wait
