"""From a soft layout to a label map: the likeliest class, or the best map of a given palette."""

from typing import Literal

import torch
from torch import Tensor

Rounding = Literal["balanced", "argmax"]

TEMPERATURES = torch.logspace(0, -2, 60).tolist()
# Two over-relaxed steps at each temperature (Thibault et al., 2021): with a single plain one,
# layouts that are sure of their classes miss their palette by 3 % of the pixels.
STEPS, RELAXATION = 2, 1.8
EPS = 1e-8


def round_layout(soft: Tensor, share: Tensor, rounding: Rounding) -> Tensor:
    """Turn soft layouts `[B, C, H, W]` into labels int64 `[B, H, W]`.

    `argmax` takes the most probable class (as released): a class that is likely nowhere vanishes,
    and rare classes are. `balanced` meets the palettes `share` `[B, C]` within 1 % of the pixels.
    """
    return soft.argmax(1) if rounding == "argmax" else balanced(soft, share)


def balanced(soft: Tensor, share: Tensor) -> Tensor:
    """Assign every pixel a class so that classes fill their shares, at the highest likelihood.

    `soft` is `[B, C, H, W]`, `share` `[B, C]`. An optimal transport of the pixels to the classes
    with capacities `share`: Sinkhorn steps on the classes' offsets, at temperatures that fall from
    1 to 0.01, then the argmax. Classes with a share below one pixel are left out. Each layout is
    solved on its own.
    """
    return torch.stack([_balance(*item) for item in zip(soft, share.float(), strict=True)])


def _balance(soft: Tensor, share: Tensor) -> Tensor:
    present = (share * soft[0].numel() >= 1).nonzero()[:, 0]
    logits = soft[present].float().add(EPS).log().flatten(1)
    wanted = (share[present] / share[present].sum()).log()
    offset = torch.zeros_like(wanted)
    for temperature in TEMPERATURES:
        for _ in range(STEPS):
            filled = ((logits + offset[:, None]) / temperature).softmax(0).mean(1)
            offset = offset + RELAXATION * temperature * (wanted - filled.clamp_min(EPS).log())
    return present[(logits + offset[:, None]).argmax(0)].view(soft.shape[1:])
