"""Benchmarks, cost estimates, endurance: run on purpose, never by a stage."""

import data  # noqa: F401  # before PyTorch is loaded: it says how threads wait
