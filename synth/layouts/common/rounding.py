"""From a soft layout to a label map: the likeliest class, or the best map of a given palette."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

from data.pairs.components import components
from data.stage.params import Params

TEMPERATURES = torch.logspace(0, -2, 60).tolist()
# Two over-relaxed steps at each temperature (Thibault et al., 2021): with a single plain one,
# layouts that are sure of their classes miss their palette by 3 % of the pixels.
STEPS, RELAXATION = 2, 1.8
EPS = 1e-8
# Of a class's pixels: fewer may be missing. Nats: no pixel is less likely than that.
MISSING, FLOOR = 0.1, 6.0


class Rounding(Params):
    """Key `rounding` of a layout method.

    `argmax` takes the most probable class (as released): a class that is likely nowhere vanishes,
    and rare classes are. `balanced` meets the palettes within 1 % of the pixels. Components of
    fewer than `smallest` pixels then become their neighbours, 0 for none; what a balanced class
    loses that way it gets back in one piece.
    """

    kind: Literal["balanced", "argmax"]
    smallest: int = Field(ge=0)


def round_layout(soft: Tensor, share: Tensor, rounding: Rounding) -> Tensor:
    """Turn soft layouts `[B, C, H, W]` of palettes `[B, C]` into labels int64 `[B, H, W]`."""
    if rounding.kind == "argmax":
        return without_specks(soft.argmax(1), rounding.smallest)
    label = without_specks(balanced(soft, share), rounding.smallest)
    label = gathered(label, soft, share, rounding.smallest)
    return without_specks(label, rounding.smallest)  # a piece may have cut one off


def round_holes(
    soft: Tensor, share: Tensor, label: Tensor, holes: Tensor, rounding: Rounding
) -> Tensor:
    """Fill the holes, bool `[B, H, W]`, of labels `[B, H, W]` with the shares `[B, C]` in them.

    `soft` is `[B, C, H, W]`; what is around a hole does not count, and stays. A class without a
    share gets no pixel.
    """
    there = soft * (share > 0)[:, :, None, None]
    there = there / there.sum(1, keepdim=True).clamp_min(EPS)
    share = share / share.sum(1, keepdim=True).clamp_min(EPS)
    # in a hole of few pixels no class may have one of its own
    balances = (holes.sum((1, 2)) >= share.shape[1]) & (rounding.kind == "balanced")
    made = label.clone()
    for item, hole in enumerate(holes):
        if hole.any():
            inside = there[item, :, hole]
            made[item, hole] = _balance(inside, share[item]) if balances[item] else inside.argmax(0)
    made = without_specks(made, rounding.smallest, holes)
    where = holes & balances[:, None, None]
    made = gathered(made, there, share, rounding.smallest, where)
    return without_specks(made, rounding.smallest, holes)


def without_specks(label: Tensor, smallest: int, where: Tensor | None = None) -> Tensor:
    """Give components of fewer than `smallest` pixels to what is nearest to each of their pixels.

    Pixels of a component touch with sides or corners: thin lines may be slanted. With `where`, bool
    `[B, H, W]`, components that reach beyond it stay, and what is nearest is there too. Labels are
    `[B, H, W]`.
    """
    if smallest < 2:
        return label
    made = label.cpu().numpy().copy()
    inside = None if where is None else where.cpu().numpy()
    for number, item in enumerate(made):
        numbered, _ = components(item, int(item.max()) + 1, corners=True)
        is_small = np.bincount(numbered.ravel()) < smallest
        if inside is not None:
            is_small[numbered[~inside[number]]] = False
        specks = is_small[numbered]
        left_out = specks if inside is None else specks | ~inside[number]
        if specks.any() and not left_out.all():
            _, nearest = distance_transform_edt(left_out, return_indices=True)  # pyright: ignore[reportGeneralTypeIssues]  # untyped: a pair if told so
            item[specks] = item[tuple(nearest)][specks]
    return torch.from_numpy(made).to(label)


def gathered(
    label: Tensor, soft: Tensor, share: Tensor, smallest: int, where: Tensor | None = None
) -> Tensor:
    """Give classes back, in one piece each, what `without_specks` took from them.

    A rare class is likely nowhere, so its balanced pixels are specks, and it would be lost. A class
    that misses a tenth of its pixels gets them, and at least `smallest`, around the place where it
    is likeliest. Labels are `[B, H, W]`, `soft` `[B, C, H, W]`; `share` `[B, C]` is that of the
    pixels `where`, bool `[B, H, W]`, which alone change.
    """
    if smallest < 2:
        return label
    made, likely = label.cpu().numpy().copy(), soft.float().clamp_min(EPS).log().cpu().numpy()
    every = np.ones(made.shape, bool) if where is None else where.cpu().numpy()
    for item, logs, shares, inside in zip(made, likely, share.cpu().numpy(), every, strict=True):
        exact = shares * inside.sum()
        asked = np.where(exact < 1, 0, np.rint(exact)).astype(int)
        free = inside.copy()
        there = np.bincount(item[inside], minlength=len(asked))
        # what takes pixels from others comes last: the rarest
        for class_id in np.argsort(-asked, kind="stable"):
            if asked[class_id] and there[class_id] < (1 - MISSING) * asked[class_id]:
                missing = max(int(asked[class_id] - there[class_id]), smallest)
                piece = _piece(logs[class_id], free & (item != class_id), missing)
                item[piece] = class_id
                free &= ~piece
    return torch.from_numpy(made).to(label)


def _piece(logs: np.ndarray, free: np.ndarray, count: int) -> np.ndarray:
    """Choose `count` of the `free` pixels `[H, W]` around the likeliest place, bool `[H, W]`.

    All of them where there are fewer.
    """
    if count >= free.sum():
        return free
    logs = np.where(free, np.maximum(logs - logs[free].max(), -FLOOR), -FLOOR)
    radius = np.sqrt(count / np.pi)
    around = gaussian_filter(np.exp(logs), radius / 2, mode="constant")
    row, column = np.unravel_index(np.where(free, around, -1).argmax(), logs.shape)
    rows, columns = np.ogrid[: logs.shape[0], : logs.shape[1]]
    far = ((rows - row) ** 2 + (columns - column) ** 2) / radius**2
    chosen = np.zeros(free.size, bool)
    order = np.argsort(np.where(free, far - logs, np.inf), axis=None, kind="stable")
    chosen[order[:count]] = True
    return chosen.reshape(free.shape)


def balanced(soft: Tensor, share: Tensor) -> Tensor:
    """Assign every pixel a class so that classes fill their shares, at the highest likelihood.

    `soft` is `[B, C, H, W]`, `share` `[B, C]`. An optimal transport of the pixels to the classes
    with capacities `share`: Sinkhorn steps on the classes' offsets, at temperatures that fall from
    1 to 0.01, then the argmax. Classes with a share below one pixel are left out. Each layout is
    solved on its own.
    """
    flat = zip(soft.flatten(2), share.float(), strict=True)
    return torch.stack([_balance(*item) for item in flat]).view(len(soft), *soft.shape[2:])


def _balance(soft: Tensor, share: Tensor) -> Tensor:
    """Assign n pixels `[C, n]` the classes of a palette `[C]`, int64 `[n]`."""
    present = (share * soft.shape[1] >= 1).nonzero()[:, 0]
    logits = soft[present].float().add(EPS).log()
    wanted = (share[present] / share[present].sum()).log()
    offset = torch.zeros_like(wanted)
    for temperature in TEMPERATURES:
        for _ in range(STEPS):
            filled = ((logits + offset[:, None]) / temperature).softmax(0).mean(1)
            offset = offset + RELAXATION * temperature * (wanted - filled.clamp_min(EPS).log())
    return present[(logits + offset[:, None]).argmax(0)]
