"""Find pictures that occur nearly the same in two splits, by a hash of what they look like."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image

BITS = 64
# Of CamVid's frames (two drives at 1 and 15 frames a second), all 100 that follow each other by
# 1/15 s differ in at most 8 bits, and of 55,977 from different drives none in less than 14.
MAX_BITS = 8
SIDE = 32
PLAIN = 2.0
BLOCK = 256
MAX_NAMED = 10

_ORDER = np.arange(SIDE)
_COSINES = np.cos(np.pi * np.outer(np.arange(1, 9), 2 * _ORDER + 1) / (2 * SIDE))


@dataclass(frozen=True)
class Near:
    """Two pictures of different splits that look nearly the same; `bits` is how far apart."""

    first: str
    second: str
    bits: int


def picture_hash(image: Image.Image) -> int | None:
    """Return 64 bits of what an image looks like, None for one of a single shade.

    The bits say which of the 8x8 lowest frequencies of the picture, at 32x32 in grey and without
    its mean, are above their median (the perceptual hash of Zauner 2010 without its first row and
    column). Size, compression and small changes of light leave nearly all of them as they are.
    """
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64)
    if grey.std() < PLAIN:
        return None
    waves = _COSINES @ grey @ _COSINES.T
    bits = (waves > np.median(waves)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(
    splits: Mapping[str, Sequence[tuple[str, int | None]]],
) -> dict[tuple[str, str], list[Near]]:
    """Return for every two splits their nearly equal pictures, the nearest first.

    `splits` gives (id, hash) of every picture. For each picture of the second split only the
    nearest of the first counts, so that a film is named once a frame.
    """
    known = {
        split: [(name, found) for name, found in entries if found is not None]
        for split, entries in splits.items()
    }
    found = {}
    for first, second in combinations(known, 2):
        near = _nearest(known[first], known[second])
        if near:
            found[first, second] = near
    return found


def describe(first: str, second: str, near: Sequence[Near]) -> str:
    """Say in one line how many pictures two splits share, and name the nearest."""
    named = ", ".join(f"{n.first} ~ {n.second} ({n.bits})" for n in near[:MAX_NAMED])
    more = f" and {len(near) - MAX_NAMED} others" if len(near) > MAX_NAMED else ""
    return (
        f"{len(near)} images of {second} nearly equal one of {first} (at most {MAX_BITS} of {BITS} "
        f"bits of their hashes differ): {named}{more}; frames of one video in two splits falsify "
        "every score: split by group, or leave some out"
    )


def warn(pictures: Iterable[tuple[str, str, int | None]]) -> None:
    """Write a line to standard error for every two splits that share nearly equal pictures.

    `pictures` are (split, id, hash) of all of them.
    """
    import typer

    splits: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for split, name, look in pictures:
        splits[split].append((name, look))
    for (first, second), near in near_duplicates(splits).items():
        typer.echo(f"warning: {describe(first, second, near)}", err=True)


def _nearest(first: Sequence[tuple[str, int]], second: Sequence[tuple[str, int]]) -> list[Near]:
    if not first or not second:
        return []
    ours = np.array([value for _, value in first], np.uint64)
    theirs = np.array([value for _, value in second], np.uint64)
    near = []
    for start in range(0, len(theirs), BLOCK):
        bits = np.bitwise_count(theirs[start : start + BLOCK, None] ^ ours[None])
        place = bits.argmin(axis=1)
        least = bits[np.arange(len(place)), place]
        near += [
            Near(first[int(place[row])][0], second[start + row][0], int(least[row]))
            for row in np.flatnonzero(least <= MAX_BITS).tolist()
        ]
    return sorted(near, key=lambda entry: (entry.bits, entry.second))
