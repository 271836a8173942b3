"""What entries of the registries do that have nothing of their own to do."""

from typing import Any

from torch import nn

from data.pairs.batches import Stream
from data.pairs.pairset import PairSet


def no_beginning(method: Any, stream: Stream) -> None:
    """Look at nothing before the first step: for methods that learn from batches alone."""


def no_measures(method: Any, nets: nn.ModuleDict, real: PairSet) -> dict[str, float]:
    """Measure nothing: for methods that take no numbers of themselves."""
    return {}
