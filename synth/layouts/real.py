"""Real layouts as they are: semi-synthetic pairs repaint the training labels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from data.stage.params import Params
from synth.layouts.common.entry import Entry
from synth.training.method import Drawn


class Config(Params):
    """Section `layouts.real` of `params.yaml`: empty."""


def draw(
    method: None,
    nets: nn.ModuleDict | None,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Return the real labels `[B, H, W]`; nothing is asked for, nothing is edited."""
    return Drawn(label=real, target=None, edited=None)


ENTRY = Entry(Config, draw=draw, derives=True)
