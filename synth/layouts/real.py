"""Real layouts as they are: semi-synthetic pairs repaint the training labels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from data.stage.params import Params
from synth.palettes.palette import PaletteModel
from synth.training.method import Drawn

FOLLOWS_PALETTE = False


class Config(Params):
    """Section `layouts.real` of `params.yaml`: empty."""


def build(*, num_classes: int, size: tuple[int, int], palettes: PaletteModel) -> None:
    """Return None: there is nothing to train."""


def draw(
    method: None,
    nets: nn.ModuleDict | None,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Return the real labels; nothing is asked for, nothing is edited."""
    return Drawn(label=real, target=None, edited=None, derived=True)


def measures(method: None, nets: None) -> dict[str, float]:
    """Measure nothing: nothing is trained."""
    return {}
