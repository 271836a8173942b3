"""What one mask holds, and which of its numbers nobody labelled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.sources.files import distinct
from data.sources.reading.pixels import bands

NEVER_LABELLED = (255, 65535)


@dataclass(frozen=True)
class MaskFile:
    """What one mask holds: how it says so, and number -> pixels.

    `looks` is number -> packed colour; `solid` and `broad` are the numbers that fill 3x3 and 7x7
    pixels somewhere, `single` those of one connected piece.
    """

    path: Path
    kind: str
    mode: str
    palette: bytes
    looks: Mapping[int, int]
    counts: Mapping[int, int]
    solid: frozenset[int]
    broad: frozenset[int]
    single: frozenset[int]


def unlabelled(values: Iterable[int]) -> tuple[int, ...]:
    """Return -1, and the last value when the others count up as ids do and it is far from them."""
    negative, positive = [v for v in values if v == -1], sorted(v for v in values if v >= 0)
    *others, last = positive or [0]
    plain = len(others) > 1 and others[-1] < 2 * len(others) + 8
    far = last in NEVER_LABELLED and plain and last > others[-1] + 1
    return (*negative, last) if far else tuple(negative)


def filling(values: np.ndarray, side: int) -> set[int]:
    """Return the values of `[H, W]` that fill some square of side x side pixels, side being odd."""
    found: set[int] = set()
    half = side // 2
    for rows in bands(values):
        band = values[rows.start : rows.stop + side - 1]
        if min(band.shape) < side:
            continue
        across, down = band[:, 1:] == band[:, :-1], band[1:] == band[:-1]
        wide, high = _runs(across, side - 1, 1), _runs(down, side - 1, 0)
        solid = _runs(wide, side, 0) & high[:, half : half + wide.shape[1]]
        if solid.any():
            found.update(distinct(band[half:-half, half:-half][solid][None])[0].tolist())
    return found


def _runs(flags: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Return where `length` flags in a row are all set, by the place of the first."""
    count = flags.shape[axis] - length + 1
    take = [slice(None)] * 2
    parts = []
    for start in range(length):
        take[axis] = slice(start, start + count)
        parts.append(flags[tuple(take)])
    return np.logical_and.reduce(parts)
