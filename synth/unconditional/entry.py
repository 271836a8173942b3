"""What the registry of unconditional generators holds of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from data.pairs.pairset import PairSet
from data.pairs.sampling import Sampling
from data.stage.params import Params
from synth.training.defaults import no_measures
from synth.training.method import Given, Method


@dataclass(frozen=True)
class Entry:
    """A generator of images from noise alone: its section of `params.yaml`, and how it is made.

    `build(config, given)` makes the method, whose `request` is None and whose `sample` draws images
    `[B, 3, H, W]` in [-1, 1], float32. They have no labels: no pair is made of them.
    """

    Config: type[Params]
    build: Callable[[Any, Given], Method]
    measures: Callable[[Any, nn.ModuleDict, PairSet], dict[str, float]] = no_measures

    def sampling(self, config: Any) -> Sampling:
        """Return which training pairs are shown more often."""
        return config.sampling

    @property
    def sees_images(self) -> bool:
        """Training looks at images: at nothing else."""
        return True
