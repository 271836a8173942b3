"""Edits of real layouts: what is taken out of them and what the partial editor is asked for.

Three kinds, as in Semantic Palette's released editor. `band`: a vertical band is made anew with the
palette it had. `classes`: all pixels of some classes are painted over with what surrounds them.
`switch`: nothing is taken out, classes grow up to a target share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from synth.training.method import Palettes, rows

MaskKind = Literal["band", "classes", "switch"]

TRACE = 1e-3
"""A class that is to grow by a smaller share of the image stays as it is (as released)."""


@dataclass(frozen=True)
class Edit:
    """What the editor is asked for.

    `layout` `[B, C, h, w]` is one-hot, and 1/C where pixels were `removed` (bool `[B, h, w]`).
    `share` `[B, C + 1]` is what each class gets as share of the whole image, then what is kept; it
    sums to 1.
    """

    layout: Tensor
    share: Tensor
    removed: Tensor

    @property
    def growing(self) -> Tensor:
        """Classes that a switch lets grow, bool `[B, C]`; none where pixels were removed."""
        return (self.share[:, :-1] > 0) & ~self.removed.flatten(1).any(1, keepdim=True)


def band_of(places: Tensor, size: Sequence[int], min_band: float) -> Tensor:
    """Turn uniform numbers `[B, 2]` into full-height vertical bands, bool `[B, H, W]`.

    Width round((m + (1 - m) u) W), start round((W - width) u').
    """
    height, width = size
    widths = ((min_band + (1 - min_band) * places[:, 0]) * width).round().clamp(min=1)
    starts = ((width - widths) * places[:, 1]).round()
    column = torch.arange(width, device=places.device)
    inside = (column >= starts[:, None]) & (column < (starts + widths)[:, None])
    return inside[:, None, :].expand(-1, height, -1)


def remove(layout: Tensor, mask: Tensor) -> Edit:
    """Take `mask` `[B, h, w]` out of one-hot layouts `[B, C, h, w]`; its palette is asked for."""
    return _without(layout, mask, (layout * mask[:, None]).mean((2, 3)))


def remove_classes(layout: Tensor, classes: Tensor) -> Edit:
    """Take `classes`, bool `[B, C]`, out of one-hot layouts `[B, C, h, w]`.

    The histogram of the ring of one pixel around them, scaled to their area, is asked for. A
    layout without such a ring, because it shows none of the classes or nothing else, is left as
    it is.
    """
    mask = (layout * classes[:, :, None, None]).sum(1)
    ring = F.max_pool2d(mask, 3, 1, 1) - mask
    around = (layout * ring[:, None]).sum((2, 3))
    mask = mask * (around.sum(1) > 0)[:, None, None]
    target = around / around.sum(1, keepdim=True).clamp_min(1) * mask.mean((1, 2))[:, None]
    return _without(layout, mask > 0, target)


def switch(layout: Tensor, palette: Tensor) -> Edit:
    """Let classes of one-hot layouts grow up to their entries in `palette` `[B, C]`.

    Classes whose entry is not larger than what they have are not asked for, so entries may be 0.
    """
    wanted = palette - layout.mean((2, 3))
    wanted = torch.where(wanted < TRACE, 0, wanted)
    share = torch.cat([wanted, 1 - wanted.sum(1, keepdim=True)], 1).clamp(min=0)
    nothing = torch.zeros_like(layout[:, 0], dtype=torch.bool)
    return Edit(layout, share / share.sum(1, keepdim=True), nothing)


def training_edit(
    layout: Tensor,
    masks: Mapping[MaskKind, float],
    *,
    min_band: float,
    palettes: Palettes,
    rng: torch.Generator,
) -> Edit:
    """Draw an edit for each layout `[B, C, h, w]`; `masks` says how often which kind.

    A class removal takes one of the classes present. A switch lets a random number of classes grow
    up to a palette drawn from `palettes`, from one (how it is used) to all that can (as released).
    """
    count, num_classes = layout.shape[:2]
    places = rows(rng, count, lambda n: torch.rand(n, 2, generator=rng, device=rng.device))
    band = remove(layout, band_of(places.to(layout.device), layout.shape[2:], min_band))
    if masks.get("band", 0) == 1:
        return band

    def uniform(num: int) -> Tensor:
        return torch.rand(3, num, num_classes, generator=rng, device=rng.device).movedim(1, 0)

    kind, some, many = rows(rng, count, uniform).to(layout.device).unbind(1)
    seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
    drawn = rows(rng, count, lambda n: torch.from_numpy(palettes.sample(n, seed)))
    drawn = drawn.to(layout.device)
    share = layout.mean((2, 3))
    taken = remove_classes(layout, _first(some * (share > 0)))
    order = some * (drawn - share >= TRACE)
    grown = switch(layout, drawn * (_first(order) | (order > many[:, :1])))
    is_band = kind[:, 0] < masks.get("band", 0)
    is_taken = ~is_band & (kind[:, 0] < masks.get("band", 0) + masks.get("classes", 0))
    return _choose(is_band, band, _choose(is_taken, taken, grown))


def novelty(soft: Tensor, layout: Tensor, edit: Edit) -> Tensor:
    """Mean share of what a switch adds that falls on classes which were to grow; 0 is best.

    `soft` `[B, C + 1, h, w]` is the editor's layout, `layout` the edited one at its size. A class
    painted over itself changes nothing (`--s_scalnovelty` of the released code).
    """
    wasted = (1 - soft[:, -1]) * (layout * edit.growing[:, :, None, None]).sum(1)
    return (wasted.mean((1, 2)) / (1 - edit.share[:, -1]).clamp_min(TRACE)).mean()


def merge(raw: Tensor, layout: Tensor) -> Tensor:
    """Give the last of C + 1 channels, "keep", to `layout` `[B, C, h, w]`; sums to 1 over c."""
    return raw[:, :-1] + raw[:, -1:] * layout


def surroundings(layout: Tensor, mask: Tensor) -> Tensor:
    """Fill `mask` `[B, h, w]` of soft layouts from its rim inwards, each pixel the mean of its rim.

    A layout that is masked altogether stays as it is.
    """
    known = (~mask[:, None]).to(layout)
    filled = layout * known
    while bool(((known == 0).any((2, 3)) & known.any(3).any(2)).any()):
        near = F.avg_pool2d(known, 3, 1, 1)
        grown = F.avg_pool2d(filled, 3, 1, 1) / near.clamp_min(1e-6)
        filled = torch.where(known > 0, filled, grown)
        known = (near > 0).to(layout)
    return torch.where(known > 0, filled, layout)


def _without(layout: Tensor, mask: Tensor, target: Tensor) -> Edit:
    share = torch.cat([target, 1 - target.sum(1, keepdim=True)], 1).clamp(min=0)
    unknown = torch.full_like(layout, 1 / layout.shape[1])
    share = share / share.sum(1, keepdim=True)
    return Edit(torch.where(mask[:, None], unknown, layout), share, mask)


def _first(order: Tensor) -> Tensor:
    """Return where each row `[B, C]` has its largest entry, nowhere in a row of zeros."""
    return F.one_hot(order.argmax(1), order.shape[1]).bool() & (order > 0)


def _choose(first: Tensor, one: Edit, other: Edit) -> Edit:
    return Edit(
        torch.where(first[:, None, None, None], one.layout, other.layout),
        torch.where(first[:, None], one.share, other.share),
        torch.where(first[:, None, None], one.removed, other.removed),
    )
