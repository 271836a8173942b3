"""How much images differ for a pretrained network: those of one layout, or any two of a set."""

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


def of_any(scored: Scored) -> Found | None:
    """Return the distance of two images of a set in percent of that of two real images."""
    seen, train = scored.seen, scored.reference.train.seen
    if seen is None or seen.apart is None or train is None or not train.apart:
        return None
    return found_of([seen.apart], train.apart)


def yardstick_of_any(reference: Reference, count: int) -> float | None:
    """Return what the real val images score."""
    train, val = reference.train.seen, reference.val.seen
    if train is None or not train.apart or val is None or val.apart is None:
        return None
    return 100 * val.apart / train.apart


OF_ANY = Metric(
    "feature_variety",
    header="variety, %",
    digits=1,
    better="higher",
    in_words="Mean distance of any two images of a set, in percent of that of two real training "
    "images, measured as diversity is; the yardstick are the real val images. Near 0 is a "
    "generator that makes one image.",
    compute=of_any,
    yardstick=yardstick_of_any,
)
