"""Objects of the sources for classes that patches have lost: small ones are outvoted."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, find_objects

from data.pairs.components import components

ENOUGH = 0.5  # of the pixels that are asked for
ROOM = 1.5  # times what is lacking: so many pixels an object may have, if there are such objects
LARGEST = 4.0  # times what is asked for: no object has more
NUM_TRIED, MOST = 12, 4  # objects that are compared, and that are put in, for each class
RIM = 2  # pixels around an object that say where it fits


@dataclass(frozen=True)
class Component:
    """A piece of one class in a source: its window, its pixels there, and its area."""

    source: int
    window: tuple[slice, slice]
    mask: np.ndarray
    area: int


def complete(
    label: np.ndarray,
    sources: np.ndarray,
    palette: np.ndarray,
    *,
    smallest: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Put objects into a layout `[H, W]` whose classes have less than half of their pixels.

    They are components of `sources` `[N, H, W]`, of `smallest` pixels at least, and stay where they
    were: those whose surroundings are there too, over classes that have too much. `palette` `[C]`
    is asked for; rare classes come last, for they are taken from the others. A class whose objects
    are all much larger than what is asked for gets none.
    """
    made, asked = label.copy(), palette * label.size
    for kind in np.argsort(-asked, kind="stable"):
        if asked[kind] < 1 or (made == kind).sum() >= ENOUGH * asked[kind]:
            continue
        pieces = [piece for piece in _pieces(sources == kind) if piece.area >= smallest]
        for _ in range(MOST):
            have = np.bincount(made.ravel(), minlength=len(asked))[: len(asked)]
            fitting = _fitting(pieces, float(asked[kind]), float(asked[kind] - have[kind]))
            if have[kind] >= ENOUGH * asked[kind] or not fitting:
                break
            tried = [fitting[n] for n in rng.permutation(len(fitting))[:NUM_TRIED]]
            best = max(tried, key=lambda piece: _fit(piece, made, sources, have > asked))
            made[best.window][best.mask] = kind
            pieces = [piece for piece in pieces if piece is not best]
    return made


def _pieces(there: np.ndarray) -> list[Component]:
    """Return the components of masks `[N, H, W]`."""
    found = []
    for source in np.flatnonzero(there.any((1, 2))).tolist():
        numbered, kinds = components((~there[source]).astype(np.uint8), 1, corners=True)
        for number, window in enumerate(find_objects(numbered, len(kinds)), 1):
            mask = numbered[window] == number
            found.append(Component(source, window, mask, int(mask.sum())))
    return found


def _fitting(pieces: list[Component], asked: float, missing: float) -> list[Component]:
    """Return the pieces that are small enough: for what is missing, else the smallest one."""
    small = [piece for piece in pieces if piece.area <= min(ROOM * missing, LARGEST * asked)]
    if small or not pieces:
        return small
    smallest = min(pieces, key=lambda piece: piece.area)
    return [smallest] if smallest.area <= LARGEST * asked else []


def _fit(piece: Component, made: np.ndarray, sources: np.ndarray, too_much: np.ndarray) -> float:
    """Say how well a piece fits where it was: what is around it above all, and what it covers."""
    height, width = made.shape
    rows, columns = (
        slice(max(0, side.start - RIM), min(length, side.stop + RIM))
        for side, length in zip(piece.window, (height, width), strict=True)
    )
    inner = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    top, left = piece.window[0].start - rows.start, piece.window[1].start - columns.start
    inner[top : top + piece.mask.shape[0], left : left + piece.mask.shape[1]] = piece.mask
    rim = binary_dilation(inner, iterations=RIM) & ~inner
    alike = made[rows, columns][rim] == sources[piece.source][rows, columns][rim]
    covered = too_much[made[piece.window][piece.mask]]
    return float(2 * (alike.mean() if rim.any() else 1.0) + covered.mean())
