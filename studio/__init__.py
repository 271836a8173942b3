"""What trained artifacts can do, as a person plays with them."""

import data  # noqa: F401  # before PyTorch is loaded: it says how threads wait
