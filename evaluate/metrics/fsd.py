"""Frechet segmentation distance: are palettes of layouts distributed as those of real ones?"""

import numpy as np

from evaluate.metrics.frechet import frechet
from evaluate.metrics.metric import Found, Metric, Reference, Scored
from evaluate.statistics import evenly


def fsd(palettes: np.ndarray, held_out: np.ndarray) -> float:
    """Return the Frechet segmentation distance of two sets of hard palettes, [N, C] and [M, C].

    Gaussians are fitted to the class fractions in percent, as the paper's figures are: fractions
    of 1 would give a distance 10,000 times smaller. `held_out` are the real val layouts.
    """
    return frechet(100 * np.asarray(palettes, np.float64), 100 * np.asarray(held_out, np.float64))


def of_set(scored: Scored) -> Found | None:
    """Return the distance of the layouts that the judge looks at to the real val layouts."""
    val = scored.reference.val.palettes
    if min(len(scored.rows), len(val)) < 2:
        return None
    return Found(fsd(scored.pairs.column("palette")[list(scored.rows)], val))


def yardstick(reference: Reference, count: int) -> float | None:
    """Return the distance of as many real training layouts to the val layouts."""
    train, val = reference.train.palettes, reference.val.palettes
    chosen = train[evenly(range(len(train)), count)]
    return fsd(chosen, val) if min(len(chosen), len(val)) >= 2 else None


METRIC = Metric(
    "fsd",
    header="FSD",
    digits=1,
    better="lower",
    in_words="Frechet distance between the class fractions of these layouts and of the real val "
    "layouts, in percent. The yardstick is what as many real training layouts score: a smaller "
    "distance than real data have to themselves is noise, not quality.",
    compute=of_set,
    yardstick=yardstick,
)
