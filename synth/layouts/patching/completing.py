"""Objects of the sources for classes that patches have lost: small ones are outvoted."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, find_objects

from data.pairs.components import components

ENOUGH = 0.5  # of the pixels that are asked for
ROOM = 1.5  # times what is lacking: so many pixels an object may have
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
    label: np.ndarray, sources: np.ndarray, palette: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Put objects into a layout `[H, W]` whose classes have less than half of their pixels.

    They are components of `sources` `[N, H, W]` and stay where they were: those whose surroundings
    are there too, over classes that have too much. `palette` `[C]` is asked for; rare classes come
    last, for they are taken from the others.
    """
    made, asked = label.copy(), palette * label.size
    for kind in np.argsort(-asked, kind="stable"):
        if asked[kind] < 1 or (made == kind).sum() >= ENOUGH * asked[kind]:
            continue
        pieces = _pieces(sources == kind)
        for _ in range(MOST if pieces else 0):
            have = np.bincount(made.ravel(), minlength=len(asked))[: len(asked)]
            if have[kind] >= ENOUGH * asked[kind]:
                break
            areas = np.array([piece.area for piece in pieces])
            room = max(ROOM * (asked[kind] - have[kind]), areas.min())
            tried = [pieces[n] for n in rng.permutation(np.flatnonzero(areas <= room))[:NUM_TRIED]]
            best = max(tried, key=lambda piece: _fit(piece, made, sources, have > asked))
            made[best.window][best.mask] = kind
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
