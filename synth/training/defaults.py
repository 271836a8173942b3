"""What entries of the registries do that have nothing of their own to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from data.pairs.batches import Stream
from data.pairs.pairset import PairSet


def no_beginning(method: Any, stream: Stream) -> None:
    """Look at nothing before the first step: for methods that learn from batches alone."""


def no_end(method: Any, nets: nn.ModuleDict, stream: Stream) -> None:
    """Look at nothing after the last step."""


def no_measures(method: Any, nets: nn.ModuleDict, real: PairSet) -> dict[str, float]:
    """Measure nothing: for methods that take no numbers of themselves."""
    return {}


@dataclass(frozen=True)
class Hooks:
    """What a method does with all real training pairs before the first step and after the last.

    `begin(method, stream)`, and `end(method, nets, stream)` with the networks that it keeps.
    """

    begin: Callable[[Any, Stream], None] = no_beginning
    end: Callable[[Any, nn.ModuleDict, Stream], None] = no_end


NO_HOOKS = Hooks()
