"""Edits of real layouts: what is taken out of them and what the partial editor is asked for.

`band`: a vertical band is made anew. `box`: a rectangle is. `classes`: all pixels of some classes
are painted over with what surrounds them. `switch`: nothing is taken out, classes grow up to a
target share. Bands, classes and switches are Semantic Palette's released edits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor
from torch.nn import functional as F

from synth.layouts.common.activation import ABSENT_BELOW
from synth.training.method import Palettes, rows

MaskKind = Literal["band", "box", "classes", "switch"]


def _rising(lengths: tuple[float, float]) -> tuple[float, float]:
    if lengths[0] > lengths[1]:
        raise ValueError(f"[{lengths[0]:g}, {lengths[1]:g}]: the shortest comes first")
    return lengths


Fraction = Annotated[float, Field(gt=0, le=1)]
Lengths = Annotated[tuple[Fraction, Fraction], AfterValidator(_rising)]
"""The shortest and the longest, fractions of a side."""

TRACE = 1e-3
"""A class that is to grow by a smaller share of the image stays as it is (as released)."""


@dataclass(frozen=True)
class Edit:
    """What the editor is asked for.

    `label` int64 `[B, H, W]` without its pixels `removed` (bool `[B, H, W]`). `share` `[B, C + 1]`
    is what each class gets as share of the whole image, then what is kept; it sums to 1.
    """

    label: Tensor
    share: Tensor
    removed: Tensor

    @property
    def growing(self) -> Tensor:
        """Classes that a switch lets grow, bool `[B, C]`; none where pixels were removed."""
        return (self.share[:, :-1] > 0) & ~self.removed.flatten(1).any(1, keepdim=True)

    def known(self, size: tuple[int, int]) -> Tensor:
        """Return which part of each cell of a grid a class has outside the hole, `[B, C, h, w]`.

        The grid divides H and W.
        """
        return averages(self.label, self.share.shape[1] - 1, size, ~self.removed)

    def in_pairs(self) -> "Edit":
        """Give items 1, 3, 5, ... the edits of those before them."""
        first = torch.arange(len(self.label), device=self.label.device) // 2 * 2
        return Edit(self.label[first], self.share[first], self.removed[first])

    def hole(self, size: tuple[int, int]) -> Tensor:
        """Return which part of each cell was removed, `[B, 1, h, w]`."""
        step = self.label.shape[1] // size[0], self.label.shape[2] // size[1]
        return F.avg_pool2d(self.removed[:, None].float(), step)


def averages(
    label: Tensor, num_classes: int, size: tuple[int, int], where: Tensor | None = None
) -> Tensor:
    """Return the share of each class in every cell of a grid, float32 `[B, C, h, w]`.

    `label` is int64 `[B, H, W]`, and the grid divides H and W; a pixel that is False in `where`
    counts as no class.
    """
    count, height, width = label.shape
    rows_of, columns = (
        torch.arange(side, device=label.device) // (side // cells)
        for side, cells in zip((height, width), size, strict=True)
    )
    cell = rows_of[:, None] * size[1] + columns
    weight = size[0] * size[1] / (height * width)
    counted = torch.full_like(label, weight, dtype=torch.float32)
    if where is not None:
        counted = counted * where
    found = torch.zeros(count, size[0] * size[1] * num_classes, device=label.device)
    found.scatter_add_(1, (cell * num_classes + label).flatten(1), counted.flatten(1))
    return found.view(count, *size, num_classes).movedim(-1, 1)  # classes side by side


def shares(label: Tensor, num_classes: int, where: Tensor | None = None) -> Tensor:
    """Return the share of each class, `[B, C]`; a pixel that is False in `where` counts as none."""
    return averages(label, num_classes, (1, 1), where)[:, :, 0, 0]


def band_of(places: Tensor, size: Sequence[int], widths: tuple[float, float]) -> Tensor:
    """Turn uniform numbers `[B, 2]` into full-height vertical bands, bool `[B, H, W]`.

    Width round((a + (b - a) u) W) for `widths` (a, b), start round((W - width) u').
    """
    height, width = size
    inside = _interval(places, width, widths)
    return inside[:, None, :].expand(-1, height, -1)


def box_of(places: Tensor, size: Sequence[int], sides: tuple[float, float]) -> Tensor:
    """Turn uniform numbers `[B, 4]` into boxes, bool `[B, H, W]`: bands both ways, each its own."""
    down = _interval(places[:, 2:], size[0], sides)
    return band_of(places[:, :2], size, sides) & down[:, :, None]


def remove(label: Tensor, hole: Tensor, num_classes: int, like: Tensor | None = None) -> Edit:
    """Take `hole` `[B, H, W]` out of labels `[B, H, W]`; its palette is asked for.

    With `like` it is the palette of those labels at the same place. Classes under 0.2 % of the
    image are left out, but for the largest: the editor would not show them.
    """
    return _without(label, hole, shares(label if like is None else like, num_classes, hole))


def remove_classes(label: Tensor, classes: Tensor) -> Edit:
    """Take `classes`, bool `[B, C]`, out of labels int64 `[B, H, W]`.

    The histogram of the ring of one pixel around them, scaled to their area, is asked for. A
    layout without such a ring, because it shows none of the classes or nothing else, is left as
    it is.
    """
    num_classes = classes.shape[1]
    mask = classes.gather(1, label.flatten(1)).view(label.shape)
    ring = F.max_pool2d(mask[:, None].float(), 3, 1, 1)[:, 0].bool() & ~mask
    around = shares(label, num_classes, ring)
    mask = mask & (around.sum(1) > 0)[:, None, None]
    return _without(label, mask, around)


def switch(label: Tensor, palette: Tensor) -> Edit:
    """Let classes of labels int64 `[B, H, W]` grow up to their entries in `palette` `[B, C]`.

    Classes whose entry is not larger than what they have are not asked for, so entries may be 0.
    """
    wanted = palette - shares(label, palette.shape[1])
    wanted = torch.where(wanted < TRACE, 0, wanted)
    share = torch.cat([wanted, 1 - wanted.sum(1, keepdim=True)], 1).clamp(min=0)
    nothing = torch.zeros_like(label, dtype=torch.bool)
    return Edit(label, share / share.sum(1, keepdim=True), nothing)


def training_edit(
    label: Tensor,
    masks: Mapping[MaskKind, float],
    *,
    bands: tuple[float, float],
    boxes: tuple[float, float],
    another: float,
    palettes: Palettes,
    rng: torch.Generator,
) -> Edit:
    """Draw an edit for each of the labels int64 `[B, H, W]`; `masks` says how often which kind.

    The fraction `another` of bands and boxes is asked for the palette that the next label of the
    batch has there, the others for their own. A class removal takes one of the classes present. A
    switch lets a random number of classes grow up to a palette drawn from `palettes`, from one (how
    it is used) to all that can (as released).
    """
    num_classes = palettes.num_classes

    def uniform(*shape: int) -> Tensor:
        def draw(count: int) -> Tensor:
            return torch.rand(count, *shape, generator=rng, device=rng.device)

        return rows(rng, len(label), draw).to(label.device)

    like = label
    if another:  # neighbours in twos, so that a batch can be shared by processes
        beside = (torch.arange(len(label), device=label.device) ^ 1).clamp(max=len(label) - 1)
        like = torch.where((uniform() < another)[:, None, None], label[beside], label)
    band = remove(label, band_of(uniform(2), label.shape[1:], bands), num_classes, like)
    if masks.get("band", 0) == 1:
        return band
    kinds = uniform()
    edits: dict[MaskKind, Edit] = {"band": band}
    edits["box"] = remove(label, box_of(uniform(4), label.shape[1:], boxes), num_classes, like)
    some, many = uniform(num_classes), uniform(1)
    seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
    drawn = rows(rng, len(label), lambda n: torch.from_numpy(palettes.sample(n, seed)))
    drawn, share = drawn.to(label.device), shares(label, num_classes)
    edits["classes"] = remove_classes(label, _first(some * (share > 0)))
    order = some * (drawn - share >= TRACE)
    edits["switch"] = switch(label, drawn * (_first(order) | (order > many)))
    found, below = band, 0.0
    for kind, edit in edits.items():
        found = _choose(kinds < below, found, edit)
        below += masks.get(kind, 0)
    return found


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


def _interval(places: Tensor, side: int, lengths: tuple[float, float]) -> Tensor:
    """Turn uniform numbers `[B, 2]` into intervals of a side of pixels, bool `[B, side]`."""
    shortest, longest = lengths
    length = ((shortest + (longest - shortest) * places[:, 0]) * side).round().clamp(min=1)
    start = ((side - length) * places[:, 1]).round()
    at = torch.arange(side, device=places.device)
    return (at >= start[:, None]) & (at < (start + length)[:, None])


def _without(label: Tensor, hole: Tensor, wanted: Tensor) -> Edit:
    """Ask for the shares `wanted` `[B, C]` in a hole `[B, H, W]`, scaled to its area."""
    area = hole.float().mean((1, 2))[:, None]
    wanted = wanted / wanted.sum(1, keepdim=True).clamp_min(1e-12) * area
    shown = (wanted >= ABSENT_BELOW) | (wanted >= wanted.max(1, keepdim=True).values)
    wanted = wanted * shown
    wanted = wanted / wanted.sum(1, keepdim=True).clamp_min(1e-12) * area
    return Edit(label, torch.cat([wanted, 1 - area], 1), hole)


def _first(order: Tensor) -> Tensor:
    """Return where each row `[B, C]` has its largest entry, nowhere in a row of zeros."""
    return F.one_hot(order.argmax(1), order.shape[1]).bool() & (order > 0)


def _choose(first: Tensor, one: Edit, other: Edit) -> Edit:
    return Edit(
        one.label,
        torch.where(first[:, None], one.share, other.share),
        torch.where(first[:, None, None], one.removed, other.removed),
    )
