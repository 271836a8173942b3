"""Where an object goes: a row that its class ends in, what carries it, the size of that row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from synth.layouts.transplanting.bank import Bank

Placing = Literal["law", "anywhere"]
Rng = np.random.Generator

TRIES = 6  # rows that are looked at before an object is given up
AT_ONCE = 16  # objects that are looked at in a row
WANDER = 0.5  # of a class's deviation: how far a size may wander from that of its own object
FARTHEST = 2.0  # deviations from the law
OUTSIDE = 3  # an object may be cut by the sides of the image, by one part of so many
COVERED = 0.08  # of the box around an object: what it may cover of classes it spares


class Numbers(Protocol):
    """The numbers that placing reads."""

    @property
    def scale(self) -> tuple[float, float]:
        """Smallest and largest scale of an object."""
        ...

    @property
    def placing(self) -> Placing:
        """Whether places follow the laws."""
        ...


@dataclass(frozen=True)
class Place:
    """An object in an image: rows `top` to `bottom` and columns `left` to `right`, exclusive.

    `scale` is that of its pixels.
    """

    object: int
    scale: float
    top: int
    bottom: int
    left: int
    right: int


def place(
    bank: Bank,
    numbers: Numbers,
    label: np.ndarray,
    kind: int,
    *,
    taken: np.ndarray,
    parent: int,
    room: float,
    rng: Rng,
) -> Place | None:
    """Find a place for an object of a class in labels uint8 `[H, W]`, None where there is none.

    It comes from another pair than `parent`, is placed on no `taken` pixel (bool `[H, W]`) and, if
    there is one, fills at most about `room` of the image.
    """
    lawful = numbers.placing == "law"
    rows, columns = label.shape
    feet = bank.laws.carries[kind][label] if lawful else np.ones(label.shape, bool)
    # the row below an object; below the last row is the last row
    ends = np.minimum(np.arange(rows + 1), rows - 1)
    chance = np.asarray(feet.any(1), float)[ends]
    chance = np.cumsum(chance * bank.laws.ends[kind] if lawful else chance)
    spared = bank.laws.spared[kind][label] if lawful else np.zeros(label.shape, bool)
    spared = spared | taken
    for _ in range(TRIES if chance[-1] > 0 else 0):
        end = int(np.searchsorted(chance, rng.random() * chance[-1], side="right"))
        found = _fitting(bank, numbers, kind, end / rows, parent=parent, room=room, rng=rng)
        if found is None:
            continue
        chosen, scale = found
        height, width = _extent(bank, chosen, scale, label.shape)
        if not (0 < height <= end and width < columns):
            continue
        fits = _fitting_columns(spared[end - height : end], feet[ends[end]], width)
        if fits.any():
            left = int(rng.choice(np.flatnonzero(fits))) - width // OUTSIDE
            return Place(chosen, scale, end - height, end, left, left + width)
    return None


def _fitting_columns(spared: np.ndarray, foot: np.ndarray, width: int) -> np.ndarray:
    """Say whether an object may begin in the columns from -width // OUTSIDE on, bool.

    `spared` bool `[h, W]` are pixels of its rows that it should not cover, `foot` bool `[W]` those
    below it that carry it.
    """
    height, columns = spared.shape
    over = width // OUTSIDE
    covered = np.pad(spared.sum(0), (over + 1, over)).cumsum()
    covered = covered[width:] - covered[:-width]
    left = np.arange(len(covered)) - over
    fits = covered <= COVERED * height * width
    third = width // 3
    for point in (third, width // 2, width - 1 - third):
        fits &= foot[(left + point).clip(0, columns - 1)]
    return fits


def _fitting(
    bank: Bank, numbers: Numbers, kind: int, end: float, *, parent: int, room: float, rng: Rng
) -> tuple[int, float] | None:
    """Return an object of a class and the scale that it has in row `end`, 0 to 1."""
    first, last = bank.first[kind], bank.first[kind + 1]
    # in proportion to the root of their size: what a pair lacks is pixels
    sizes = bank.sizes[first:last]
    drawn = rng.random(AT_ONCE) * (sizes[-1] - bank.before(first)) + bank.before(first)
    chosen = first + np.searchsorted(sizes, drawn, side="right").clip(max=last - first - 1)
    low, high = numbers.scale
    intercept, slope, spread = bank.laws.size[kind]
    if numbers.placing == "law":
        off = bank.off[chosen] + WANDER * spread * rng.standard_normal(AT_ONCE)
        off = off.clip(-FARTHEST * spread, FARTHEST * spread)
        scale = np.exp((intercept + slope * end + off - np.log(bank.area[chosen])) / 2)
    else:
        scale = np.exp(rng.uniform(np.log(low), np.log(high), AT_ONCE))
    fits = (low <= scale) & (scale <= high) & (bank.donor[chosen] != parent)
    if not fits.any():
        return None
    filled = bank.area[chosen] * scale**2
    small = fits & (filled <= room)
    # the first that has room, else the smallest
    slot = int(small.argmax()) if small.any() else int(np.where(fits, filled, np.inf).argmin())
    return int(chosen[slot]), float(scale[slot])


def _extent(bank: Bank, index: int, scale: float, size: Sequence[int]) -> tuple[int, int]:
    """Return height and width of an object, without margins, in pixels of an image of `size`."""
    height = (bank.height[index] - 2) * scale * size[0] / bank.size[0]
    width = (bank.width[index] - 2) * scale * size[1] / bank.size[1]
    return max(1, round(height)), max(1, round(width))
