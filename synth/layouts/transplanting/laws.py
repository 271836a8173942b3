"""What training pairs say of objects: which classes are objects, how large, where, and on what.

The size of a class follows the row where it ends, log area = a + b row, where there is ground in
perspective. There is, if one class shows it beyond doubt: larger ones end lower, and do not begin
higher by as much, as what is photographed in the middle of a slide or table does. Without such a
class b = 0, and objects may end in any row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.pairs.classes import ClassTable
from synth.layouts.transplanting.cutting import Measured

OCCLUDED = 0.15  # of its outline against other objects: what is hidden by them has a false shape
SURROUNDS = 0.8  # of all outlines of a class: what it lies in, as a nucleus in its cell
CARRIES = 0.1  # of what lies below objects of a class: what carries it now and then
CARRIES_ALONE = 0.5  # the same for a class that is an object itself
FEWEST = 5  # objects that a law can be read off
EXPLAINED = 0.1  # of the variance of log areas: less is no law
DOUBTLESS = 0.3  # the same for a class that shows that there is ground in perspective
ABOUT_MIDDLE = 1.5  # times what first rows explain, if larger ones begin higher, must last rows do
FRAGMENT = -1.0  # log area off the law: less than 37 % of it is a part, the rest hidden or cut off
ROUNDS = 4  # of fitting a law without the fragments that the last round shows
SMOOTH = 0.03  # of the height: how far from real rows objects may end, one deviation


@dataclass(frozen=True)
class Laws:
    """The laws of C classes on images of height H.

    `things` bool `[C]` are objects. `size` `[C, 3]` has a, b and the deviation of log areas
    (fractions of the image) around a + b row, row 0 to 1; `follows` bool `[C]` says where b counts.
    `ends` `[C, H + 1]` are the probabilities of the row below an object. `carries` bool `[C, C]`:
    the second class carries the first. `spared` bool `[C, C]`: the first may not cover the second,
    which is rarer or an object.
    """

    things: np.ndarray
    size: np.ndarray
    follows: np.ndarray
    ends: np.ndarray
    carries: np.ndarray
    spared: np.ndarray


def whole(measured: Measured, largest: float) -> np.ndarray:
    """Say which components may be objects, bool `[N]`: no border cuts them, and they are small."""
    return (measured.borders == 0) & (measured.area <= largest)


def things(
    measured: Measured,
    classes: ClassTable,
    named: Sequence[str] | None,
    *,
    largest: float,
    whole_share: float,
) -> np.ndarray:
    """Say which classes are objects, bool `[C]`: those `named`, or found in the measures.

    Found are classes that count in mIoU and that have at least `whole_share` of their pixels in
    components that are whole and fill at most `largest` of the image.
    """
    found = np.zeros(classes.num_classes, bool)
    if named is not None:
        found[[classes.index(name) for name in named]] = True
        return found
    all_of, whole_of = (
        np.bincount(measured.kind, measured.area * counted, classes.num_classes)
        for counted in (np.ones(len(measured)), whole(measured, largest))
    )
    found[list(classes.eval_ids)] = True
    return found & (all_of > 0) & (whole_of >= whole_share * all_of)


def surroundings(measured: Measured, count: int) -> np.ndarray:
    """Say in which class the objects of each lie, bool `[C, C + 1]`; most lie in no single one."""
    outlines = np.stack([measured.outline[measured.kind == k].sum(0) for k in range(count)])
    whole_outline = outlines.sum(1, keepdims=True)
    return (outlines >= SURROUNDS * whole_outline) & (whole_outline > 0)


def unhidden(measured: Measured, objects: np.ndarray) -> np.ndarray:
    """Say which components no other object hides, bool `[N]`; `objects` bool `[C]`."""
    count = len(objects)
    hides = np.append(objects, False) & ~surroundings(measured, count)
    hides &= ~np.eye(count, count + 1, dtype=bool)
    against = (measured.outline * hides[measured.kind]).sum(1)
    return against <= OCCLUDED * np.maximum(measured.outline.sum(1), 1)


def fit(
    measured: Measured,
    usable: np.ndarray,
    objects: np.ndarray,
    *,
    classes: ClassTable,
    shares: np.ndarray,
    height: int,
) -> Laws:
    """Fit the laws of `objects` bool `[C]` on the `usable` components, bool `[N]`.

    `shares` `[C]` are the mean palette, `height` that of the images to be drawn.
    """
    count = len(objects)
    size, follows = _sizes(measured, usable, objects)
    usable = usable & ~fragments(measured, size, follows)
    rows = [np.flatnonzero(usable & (measured.kind == kind)) for kind in range(count)]
    ends = np.ones((count, height + 1))
    if follows.any():
        for kind in np.flatnonzero(objects):
            chosen = rows[kind]
            weights = np.sqrt(measured.area[chosen])
            ends[kind] = _density(measured.bottoms()[chosen] * height, weights, height)
    below = np.stack([_below(measured, chosen)[:count] for chosen in rows])
    void = np.ones(count, bool)
    void[list(classes.eval_ids)] = False
    carries = _carries(below, objects, void, shares)
    inside = surroundings(measured, count)[:, :count]
    rare = shares[None, :] <= shares[:, None]
    spared = np.where(inside.any(1, keepdims=True), ~inside, (rare | objects) & ~carries)
    return Laws(objects, size, follows, ends / ends.sum(1, keepdims=True), carries, spared)


def fragments(measured: Measured, size: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Say which components are far smaller than the law of their class in their row, bool `[N]`."""
    intercept, slope, _ = size[measured.kind].T
    off = np.log(measured.area) - intercept - slope * measured.bottoms()
    return follows[measured.kind] & (off < FRAGMENT)


def _sizes(
    measured: Measured, usable: np.ndarray, objects: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the laws of sizes `[C, 3]`, and which classes follow the row, bool `[C]`.

    Where one class does beyond doubt, there is ground in perspective, and the others may too.
    """
    size, explained = np.zeros((len(objects), 3)), np.zeros((len(objects), 2))
    chosen = [np.flatnonzero(usable & (measured.kind == kind)) for kind in range(len(objects))]
    ends, begins, log_area = measured.bottoms(), measured.tops(), np.log(measured.area)
    for kind in np.flatnonzero(objects):
        rows = chosen[kind]
        if len(rows):
            size[kind] = log_area[rows].mean(), 0, log_area[rows].std()
            explained[kind] = [_explained(at[rows], log_area[rows]) for at in (ends, begins)]
    follows = explained[:, 0] >= EXPLAINED
    doubtless = explained[:, 0] >= np.maximum(DOUBTLESS, -ABOUT_MIDDLE * explained[:, 1])
    if not doubtless.any():
        return size, np.zeros(len(objects), bool)
    for kind in np.flatnonzero(follows):
        line = _line(ends[chosen[kind]], log_area[chosen[kind]])
        follows[kind] = line[1] > 0  # without its fragments a class may show no perspective
        if follows[kind]:
            size[kind] = line
    return size, follows


def _explained(rows: np.ndarray, log_area: np.ndarray) -> float:
    """Return the fraction of the variance that rows explain; negative where size falls with them.

    0 where there is nothing to explain.
    """
    if len(rows) < FEWEST or rows.std() == 0 or log_area.std() == 0:
        return 0.0
    (a, both), (_, b) = np.cov(rows, log_area, aweights=_weights(log_area))
    return float(both * abs(both) / (a * b))


def _weights(log_area: np.ndarray) -> np.ndarray:
    """Return what components weigh in a law, the root of their area: most small ones are parts."""
    return np.exp(log_area / 2)


def _line(ends: np.ndarray, log_area: np.ndarray) -> tuple[float, float, float]:
    """Fit log area = a + b row; returns a, b and the deviation of what is no fragment."""
    weights, kept = _weights(log_area), np.ones(len(ends), bool)
    for _ in range(ROUNDS):
        line = np.polyfit(ends[kept], log_area[kept], 1, w=np.sqrt(weights[kept]))
        kept = log_area - np.polyval(line, ends) >= FRAGMENT
    slope, intercept = np.polyfit(ends[kept], log_area[kept], 1, w=np.sqrt(weights[kept]))
    return intercept, slope, float((log_area - intercept - slope * ends)[kept].std())


def _density(ends: np.ndarray, weights: np.ndarray, height: int) -> np.ndarray:
    """Smooth rows `[n]` to a density over the rows 0 to `height`."""
    away = np.arange(height + 1)[:, None] - ends[None, :]
    return np.exp(-0.5 * (away / max(1.0, SMOOTH * height)) ** 2) @ weights + 1e-12


def _below(measured: Measured, chosen: np.ndarray) -> np.ndarray:
    """Return the mean of what is below components, `[C + 1]`; large ones weigh more, by area."""
    counts = measured.below[chosen]
    weights = measured.area[chosen] / np.maximum(counts.sum(1), 1)
    return weights @ counts


def _carries(
    below: np.ndarray, objects: np.ndarray, void: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Say which class carries which, bool `[C, C]`, from fractions of what is below, `[C, C]`."""
    below = below * ~np.eye(len(below), dtype=bool) * ~void
    part = below / np.maximum(below.sum(1, keepdims=True), 1e-12)
    often = np.where(objects[None, :], part >= CARRIES_ALONE, part >= CARRIES)
    often &= shares[None, :] >= shares[:, None]
    # an object that only rarer ones or none carry stands on what is below it most
    none = ~often.any(1) & (below.sum(1) > 0)
    often[none, below[none].argmax(1)] = True
    return often
