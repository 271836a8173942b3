"""What one mask holds, and which of its numbers nobody labelled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

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
