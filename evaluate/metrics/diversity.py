"""How much the images of one layout differ, for a pretrained network."""

from collections.abc import Sequence

import numpy as np

from data.pairs.pairset import PairSet
from evaluate.metrics.features import see
from evaluate.metrics.metric import Found, Metric, Reference, Scored


def painted_again(pairs: PairSet) -> list[list[int]]:
    """Return the rows of each layout of a set that was painted more than once."""
    groups: dict[bytes, list[int]] = {}
    for row, label in enumerate(pairs.labels(range(len(pairs)))):
        groups.setdefault(label.tobytes(), []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def of_set(scored: Scored) -> Found | None:
    """Return the distance of two images of a layout in percent of that of two real images."""
    eyes, again, train = scored.eyes, scored.repainted, scored.reference.train.seen
    if eyes is None or again is None or train is None or not train.apart:
        return None
    own = [
        found.apart
        for rows in painted_again(again)
        if (found := see(again, rows, eyes, batch_size=scored.batch_size)).apart is not None
    ]
    if not own:
        return None
    return found_of(own, train.apart)


def found_of(own: Sequence[float], real: float) -> Found:
    """Return the mean distance of two images of a layout beside that of two real images."""
    mean = float(np.mean(own))
    return Found(100 * mean / real, parts={"distance": mean, "real": real})


def yardstick(reference: Reference, count: int) -> float | None:
    """Return 100 where there are real images that differ: they are the measure."""
    train = reference.train.seen
    return 100.0 if train is not None and train.apart else None


METRIC = Metric(
    "feature_diversity",
    header="diversity, %",
    digits=1,
    better="higher",
    in_words="Mean distance of two images painted from one layout, in percent of that of two real "
    "training images, whose layouts differ too; 0 is a painter without noise. The distance is the "
    "squared difference of unit vectors of pretrained features, averaged over positions and "
    "strides: that of LPIPS without its learnt weights.",
    compute=of_set,
    yardstick=yardstick,
)
