"""Say how good it is: scores of cells, layouts and images, and the report."""

import data  # noqa: F401  # before PyTorch is loaded: it says how threads wait
