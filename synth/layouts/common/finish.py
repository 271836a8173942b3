"""What is done to drawn layouts before they are rounded: full size, straight edges."""

import torch
import torch.nn.functional as F
from torch import Tensor

THIN = 4  # pixels; a thin line is at least so long


def enlarge(soft: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge soft layouts `[B, C, h, w]` that stopped growing early, bilinearly; still simplex."""
    return soft if soft.shape[2:] == size else F.interpolate(soft, size=size, mode="bilinear")


def finished(soft: Tensor, size: tuple[int, int], cell: int) -> Tensor:
    """Enlarge drawn layouts `[B, C, h, w]`, whose cells have `cell` pixels along a side.

    Edges are combs that repeat with the cells, whose pixels come out of one vector: each pixel is
    averaged with its neighbours by [1 2 1]/4, all but thin lines, which that would take away. A
    network with that inside learns no detail.
    """
    soft = enlarge(soft, size)
    if cell == 1:
        return soft
    smooth = soft
    for before in (1, 0):
        sides = (before, 1 - before, before, 1 - before)
        smooth = F.avg_pool2d(F.pad(smooth, sides, mode="replicate"), 2, stride=1)
    return torch.where(thin_lines(soft.argmax(1))[:, None], soft, smooth)


@torch.no_grad()
def thin_lines(label: Tensor) -> Tensor:
    """Find upright and level lines of one class that are one pixel wide: `[B, H, W]`, boolean.

    Poles are such lines. Teeth of a comb are not, which are shorter than `THIN`, nor are stripes,
    of which one stands beside the other.
    """
    upright = _upright(label)
    return upright | _upright(label.transpose(1, 2)).transpose(1, 2)


def _upright(label: Tensor) -> Tensor:
    edge = torch.full_like(label[:, :, :1], -1)
    beside = torch.cat([edge, label, edge], 2)
    thin = (label != beside[:, :, :-2]) & (label != beside[:, :, 2:])
    if thin.shape[1] < THIN:
        return torch.zeros_like(thin)
    near = F.pad(thin, (1, 1))
    alone = thin & ~near[:, :, :-2] & ~near[:, :, 2:]
    line = torch.where(alone, label, -1).float()[:, None]
    # Highest and lowest class of every THIN pixels below each other, then all pixels of these.
    high, low = F.max_pool2d(line, (THIN, 1), 1), -F.max_pool2d(-line, (THIN, 1), 1)
    found = ((high == low) & (low >= 0)).float()
    rows = THIN - 1
    return F.max_pool2d(F.pad(found, (0, 0, rows, rows)), (THIN, 1), 1)[:, 0] > 0
