"""Plans: how the classes of a palette lie in the image, roughly, drawn at random."""

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.layouts.patching.grids import padded

CELLS = 4  # of the coarsest grid; blobs of a plan are about so wide
SHARPNESS = 2.0
ANYWHERE = 1e-3  # how likely a class is where no source shows it, times its share
STEPS = 30
EPS = 1e-9
TRACE, MOST = 2e-3, 2.0


def draw(
    values: Tensor, shares: Tensor, palette: Tensor, *, noise: float, rng: torch.Generator
) -> Tensor:
    """Draw soft classes `[1, C, h, w]` that fill `palette` `[C]` where sources have them.

    `values` `[N, C, h, w]` are the sources at this grid, `shares` `[C]` those of the classes.
    `noise`, in nats, is how far blobs of noise go beyond what the sources say.
    """
    _, count, height, width = values.shape
    where = F.avg_pool2d(padded(values.mean(0, keepdim=True), 3), 3, 1)
    where = where + ANYWHERE * shares[:, None, None] + EPS
    blobs = (1, count, max(2, height // CELLS), max(2, width // CELLS))
    smooth = F.interpolate(
        torch.randn(blobs, generator=rng), size=(height, width), mode="bicubic", align_corners=False
    )
    logits = SHARPNESS * (where.log() + noise * smooth)[0].flatten(1)
    asked = palette.clamp_min(EPS).log()
    for _ in range(STEPS):
        filled = logits.softmax(0).mean(1).clamp_min(EPS)
        logits = logits + (asked - filled.log())[:, None]
    return logits.softmax(0).view(1, count, height, width)


def lacking(palette: Tensor, planes: Tensor) -> Tensor:
    """Return how much too rare each class is, nats `[C]` from -2 to 2, in planes `[1, C, h, w]`.

    What makes patches of such classes cheaper (histogram matching of Kopf et al., 2007).
    """
    have = planes.mean((0, 2, 3))
    return ((palette + TRACE) / (have + TRACE)).log().clamp(-MOST, MOST)
