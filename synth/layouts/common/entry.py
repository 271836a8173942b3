"""What the registry of layout methods holds of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from data.stage.params import Params
from synth.training.defaults import no_measures
from synth.training.method import Drawn, Given, Method


@dataclass(frozen=True)
class Entry:
    """A layout method: its section of `params.yaml`, what is made of it, and what it can do.

    `build(config, given)` makes the method, None where there is nothing to train.
    `draw(method, nets, *, palette, real, rngs)` draws the labels of a batch, from palettes `[B, C]`
    or real labels `[B, H, W]`, one generator each; None where there are no layouts.
    `measures(method, nets)` takes numbers of trained networks for the report.

    `derives`: each layout descends from the real one it was given. `follows_palette`: layouts have
    the palette they are asked for, so a set may control it; the method has `whole`. `edits`: real
    layouts are edited; the method is an `Editing`. `joins`: it can be tuned end to end with a
    painter; the method is a `JoinedLayout`. `sees_images`: training looks at images, not at labels
    alone.
    """

    Config: type[Params]
    build: Callable[[Any, Given], Method] | None = None
    draw: Callable[..., Drawn] | None = None
    measures: Callable[[Any, nn.ModuleDict], dict[str, float]] = no_measures
    derives: bool = False
    follows_palette: bool = False
    edits: bool = False
    joins: bool = False
    sees_images: bool = False
