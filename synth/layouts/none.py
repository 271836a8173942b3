"""No layouts: nothing to draw from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from data.stage.errors import UserError
from data.stage.params import Params
from synth.palettes.palette import PaletteModel
from synth.training.method import Drawn

FOLLOWS_PALETTE = False


class Config(Params):
    """Section `layouts.none` of `params.yaml`: empty."""


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
    """Raise `UserError`: there is nothing to draw."""
    raise UserError("layouts `none` draws no layouts; a set needs another method")


def measures(method: None, nets: None) -> dict[str, float]:
    """Measure nothing: nothing is trained."""
    return {}
