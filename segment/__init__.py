"""Learn image -> label on MMSegmentation, from pair sets."""

import data  # noqa: F401  # before PyTorch is loaded: it says how threads wait
