"""What the registry of painters holds of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Stream
from data.pairs.pairset import PairSet
from data.stage.params import Params
from synth.painters.common.prepared import cast
from synth.training.defaults import no_beginning, no_measures
from synth.training.method import Given, Painter


@dataclass(frozen=True)
class Entry:
    """A painter: its section of `params.yaml`, what is made of it, and what it can do.

    `build(config, given)` makes the method, None where nothing is painted.
    `prepare(method, nets, dtype)` returns networks for painting alone that compute in `dtype`, and
    may fold or fuse what only training needs; `nets` stay as they are.
    `begin(method, stream)` lets it look at all real training pairs before the first step.
    `measures(method, nets, real)` takes numbers of trained networks, and of the real pairs, for the
    report.

    `joins`: it can be tuned end to end with a layout method. `takes_style`: it paints in the looks
    that it is asked for, rows of a `StyleBank` that it keeps as `bank`.
    """

    Config: type[Params]
    build: Callable[[Any, Given], Painter] | None = None
    prepare: Callable[[Any, nn.ModuleDict, torch.dtype], nn.ModuleDict] = cast
    begin: Callable[[Any, Stream], None] = no_beginning
    measures: Callable[[Any, nn.ModuleDict, PairSet], dict[str, float]] = no_measures
    joins: bool = False
    takes_style: bool = False

    @property
    def sees_images(self) -> bool:
        """Training looks at images: always."""
        return True
