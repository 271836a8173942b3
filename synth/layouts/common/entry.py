"""What the registry of layout methods holds of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from data.pairs.pairset import PairSet
from data.pairs.sampling import Sampling
from data.stage.params import Params
from synth.layouts.common.edits import Bands
from synth.training.defaults import no_measures
from synth.training.method import Drawn, Given, Method


@dataclass(frozen=True)
class Material:
    """What a method is fitted on: the training pairs, and the same ones in more detail.

    `detail` has them in the same order; it is `train` where no finer ones are kept. `flip` says
    whether pairs may be mirrored.
    """

    train: PairSet
    detail: PairSet
    flip: bool


class Fitted(Protocol):
    """What a fit found, to be kept."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Return all of it, for one file."""
        ...


class Found(Protocol):
    """A method that was fitted: what its fit found, taken out of its file."""

    @property
    def num_pairs(self) -> int:
        """Number of the real pairs that it was fitted on."""
        ...


class Composing(Found, Protocol):
    """A layout method that draws images too."""

    def compose(
        self,
        *,
        palette: Tensor,
        label: Tensor,
        image: Tensor,
        rows: Sequence[int],
        rngs: Sequence[torch.Generator],
        bands: Bands | None = None,
    ) -> Drawn:
        """Draw a batch from real pairs, with `image`, `behind`, `alpha` and `donors`.

        `palette` `[B, C]` is asked for; `label` int64 `[B, H, W]` and `image` uint8
        `[B, 3, H, W]` are the real pairs of these rows of their set; one generator each. With
        `bands` each of them first gets one, of another pair.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """A layout method: its section of `params.yaml`, what is made of it, and what it can do.

    `build(config, given)` makes the method, None where there is nothing to train.
    `draw(method, nets, *, palette, real, rngs)` draws the labels of a batch, from palettes `[B, C]`
    or real labels `[B, H, W]`, one generator each; None where there are no layouts.
    `measures(method, nets, real)` takes numbers of trained networks, and of the real pairs, for the
    report.
    `fit(config, material)` finds what a method without networks needs, `load(config, tensors)`
    makes the method of it, a `Found`; one without `draw` is a `Composing`, which draws images too.

    `derives`: each layout descends from the real one it was given. `follows_palette`: layouts
    heed the palette they are asked for, so a set may control it; a method whose layouts derive from
    none has `whole`. `edits`: real
    layouts are edited; the method is an `Editing`. `joins`: it can be tuned end to end with a
    painter; the method is a `JoinedLayout`. `sees_images`: training looks at images, not at labels
    alone.
    """

    Config: type[Params]
    build: Callable[[Any, Given], Method] | None = None
    draw: Callable[..., Drawn] | None = None
    measures: Callable[[Any, nn.ModuleDict, PairSet], dict[str, float]] = no_measures
    fit: Callable[[Any, Material], Fitted] | None = None
    load: Callable[[Any, Mapping[str, Tensor]], Any] | None = None
    derives: bool = False
    follows_palette: bool = False
    edits: bool = False
    joins: bool = False
    sees_images: bool = False

    def sampling(self, config: Any) -> Sampling:
        """Return which training pairs are shown more often: all alike, whatever the numbers."""
        return "uniform"

    @property
    def composes(self) -> bool:
        """Real pairs are changed with their pixels: the method is a `Composing`."""
        return self.load is not None and self.draw is None

    @property
    def makes_whole(self) -> bool:
        """Networks make whole layouts from noise and a palette: the method has `whole`."""
        return self.build is not None and self.follows_palette and not self.derives

    @property
    def marks_edits(self) -> bool:
        """Drawn layouts say which of their pixels are not the parent's."""
        return self.edits or self.composes
