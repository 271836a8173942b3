"""What the registry of painters holds of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Stream
from data.pairs.pairset import PairSet
from data.pairs.sampling import Sampling
from data.stage.params import Params
from synth.painters.common.prepared import cast
from synth.training.defaults import no_beginning, no_end, no_measures
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

    `end(method, nets, stream)` lets it look at them once more after the last one, with the networks
    that it keeps, to put into them what only trained ones know, such as the codes of real images.

    `joins`: it can be tuned end to end with a layout method. `takes_style(config)`: with these
    numbers it paints in the looks that it is asked for, rows of a `StyleBank` that it keeps as
    `bank`; None where it never does.
    """

    Config: type[Params]
    build: Callable[[Any, Given], Painter] | None = None
    prepare: Callable[[Any, nn.ModuleDict, torch.dtype], nn.ModuleDict] = cast
    begin: Callable[[Any, Stream], None] = no_beginning
    end: Callable[[Any, nn.ModuleDict, Stream], None] = no_end
    measures: Callable[[Any, nn.ModuleDict, PairSet], dict[str, float]] = no_measures
    joins: bool = False
    takes_style: Callable[[Any], bool] | None = None

    @property
    def sees_images(self) -> bool:
        """Training looks at images: always."""
        return True

    def sampling(self, config: Any) -> Sampling:
        """Return which training pairs are shown more often, with these numbers."""
        return config.sampling


def always(config: Any) -> bool:
    """Say that a painter takes styles, whatever its numbers."""
    return True
