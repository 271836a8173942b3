"""Whether masks number objects one by one, and do not hold classes."""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from data.sources.masks.coded import COLORED
from data.tools.masks.held import NEVER_LABELLED, MaskFile

OFFER = "where each object has a number of its own, add --instances: background and object"
# Pieces are counted on every n-th pixel of a mask that is larger.
MAX_SIDE, MAX_OBJECTS = 512, 1000
MIN_MASKS, MIN_HIGHEST = 3, 4
SINGLE_SHARE, COUNTED_SHARE = 0.85, 0.8
AROUND = np.ones((3, 3))


def single_pieces(values: np.ndarray, found: Iterable[int]) -> frozenset[int]:
    """Return the positive values of integers [H, W] that are one connected piece each."""
    objects = [value for value in found if value > 0 and value not in NEVER_LABELLED]
    if not objects or len(objects) > MAX_OBJECTS:
        return frozenset()
    step = -(-max(values.shape) // MAX_SIDE)
    values = values[::step, ::step]
    places = np.searchsorted(objects, values)
    exact = np.asarray(objects)[np.minimum(places, len(objects) - 1)] == values
    numbered = np.where(exact, places + 1, 0)
    single = set()
    for place, box in enumerate(ndimage.find_objects(numbered, len(objects))):
        if box is None:
            continue
        _, count = ndimage.label(numbered[box] == place + 1, AROUND)  # pyright: ignore[reportGeneralTypeIssues]  # untyped: a pair unless given `output`
        if count == 1:
            single.add(objects[place])
    return frozenset(single)


def numbered_objects(files: Sequence[MaskFile]) -> str | None:
    """Return what shows that masks number their objects, None where they do not.

    In each mask numbers count up from 1, with few left out, to a last one that differs from mask
    to mask, and nearly every number is one connected piece.
    """
    counted, values, single, highest = [], 0, 0, []
    for file in files:
        if file.kind == COLORED:
            return None
        objects = [v for v in file.counts if v > 0 and v not in NEVER_LABELLED]
        if objects:
            counted.append(len(objects) / max(objects))
            highest.append(max(objects))
            values += len(objects)
            single += len(file.single)
    if len(highest) < MIN_MASKS or max(highest) < MIN_HIGHEST or len(set(highest)) < 2:
        return None
    if single < SINGLE_SHARE * values or np.mean(counted) < COUNTED_SHARE:
        return None
    return (
        f"nearly every number of the masks is one connected piece, and they count from 1 to "
        f"{min(highest)} or up to {max(highest)}, as objects do"
    )
