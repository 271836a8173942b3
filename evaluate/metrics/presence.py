"""Does every class occur as often as in real layouts?"""

import numpy as np

from evaluate.metrics.metric import Found, Metric, Reference, Scored
from evaluate.statistics import evenly


def presence(palettes: np.ndarray) -> np.ndarray:
    """Return the fraction of palettes `[N, C]` that show each class, `[C]`."""
    return (np.asarray(palettes) > 0).mean(0)


def divergence(made: np.ndarray, real: np.ndarray) -> float:
    """Return the KL, in nats, of how often classes occur, a mean over them; palettes `[N, C]`.

    Of the Bernoulli law of the real ones against that of those made, each with half a layout more
    that shows the class and half a one that does not.
    """
    p, q = (((part > 0).sum(0) + 0.5) / (len(part) + 1) for part in (real, made))
    return float((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean())


def gap(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return how much more often classes occur than in real palettes, percentage points `[C]`."""
    return 100 * (presence(made) - presence(real))


def of_set(scored: Scored) -> Found:
    """Return the largest gap; part `kl`: the divergence, and the gap of every class."""
    made, real = scored.pairs.column("palette")[list(scored.every)], scored.reference.train.palettes
    gaps = gap(made, real)
    by_class = dict(zip(scored.pairs.classes.names, gaps.tolist(), strict=True))
    return Found(float(np.abs(gaps).max()), parts={"kl": divergence(made, real)}, classes=by_class)


def yardstick(reference: Reference, count: int) -> float | None:
    """Return the largest gap between real palettes and those of other groups, mean over groups."""
    train, found = reference.train.palettes, []
    for mine in reference.train.by_group():
        others = np.delete(train, mine, axis=0)
        if len(others):
            chosen = train[mine[evenly(range(len(mine)), count)]]
            found.append(float(np.abs(gap(chosen, others)).max()))
    return float(np.mean(found)) if found else None


METRIC = Metric(
    "presence",
    header="presence, points",
    digits=1,
    better="lower",
    in_words="The class that occurs in too many or too few of the layouts: by how many percentage "
    "points, against the real training layouts. The yardstick is how far real layouts of one group "
    "(video, scene) are from those of the others.",
    compute=of_set,
    yardstick=yardstick,
)
