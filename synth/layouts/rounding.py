"""From a soft layout to a label map: the most probable class, or the best map of a given palette."""

from typing import Literal

import torch
from torch import Tensor

Rounding = Literal["balanced", "argmax"]

TEMPERATURES = torch.logspace(0, -2, 60).tolist()
EPS = 1e-8


def round_layout(soft: Tensor, share: Tensor, rounding: Rounding) -> Tensor:
    """Turn soft layouts `[B, C, H, W]` into labels int64 `[B, H, W]`.

    `argmax` takes the most probable class (as released): a class that is likely nowhere vanishes,
    and rare classes are. `balanced` meets the palettes `share` `[B, C]` to within some pixels.
    """
    return soft.argmax(1) if rounding == "argmax" else balanced(soft, share)


def balanced(soft: Tensor, share: Tensor) -> Tensor:
    """Assign every pixel a class so that classes fill their shares, at the highest likelihood.

    An optimal transport of the pixels to the classes with capacities `share`: Sinkhorn steps on
    the classes' offsets, at temperatures that fall from 1 to 0.01, then the argmax. Classes with
    a share below one pixel are left out. Each layout is solved on its own.
    """
    logits = soft.float().add(EPS).log().flatten(2)
    wanted = torch.where(share * logits.shape[2] < 1, 0.0, share.float())
    wanted = (wanted / wanted.sum(1, keepdim=True)).log()  # -inf: never assigned
    offset = torch.where(wanted.isinf(), wanted, torch.zeros_like(wanted))
    for temperature in TEMPERATURES:
        filled = ((logits + offset[..., None]) / temperature).softmax(1).mean(2)
        step = temperature * (wanted - filled.clamp_min(EPS).log())
        offset = torch.where(wanted.isinf(), wanted, offset + step)
    return (logits + offset[..., None]).argmax(1).view(len(soft), *soft.shape[2:])
