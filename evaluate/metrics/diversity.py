"""How much the images of one layout differ, in feature space."""

from collections.abc import Hashable, Sequence

import numpy as np

from evaluate.metrics.metric import Found, Metric, Scored
from evaluate.statistics import evenly


def diversity(
    features: np.ndarray, layouts: Sequence[Hashable], real: np.ndarray
) -> tuple[float, float] | None:
    """Compare images of one layout with each other; None when no layout was painted twice.

    `layouts[i]` says which layout row i of `features` [N, D] was painted from. Returns the mean
    Euclidean distance of two images of a layout, averaged over layouts, and that of two images of
    `real` [T, D], which differ in their layouts too. A painter without noise has 0.
    """
    groups: dict[Hashable, list[int]] = {}
    for row, layout in enumerate(layouts):
        groups.setdefault(layout, []).append(row)
    repeated = [rows for rows in groups.values() if len(rows) > 1]
    if not repeated or len(real) < 2:
        return None
    own = float(np.mean([_mean_distance(features[rows]) for rows in repeated]))
    return own, _mean_distance(real)


def of_set(scored: Scored) -> Found | None:
    """Return the distance of two images of a layout in percent of that of two real images."""
    again, train = scored.repainted, scored.reference.train.features
    if again is None or not len(again):
        return None
    images = scored.described(again, range(len(again)))
    layouts = [again.arrays(row)[1].tobytes() for row in range(len(again))]
    found = diversity(images, layouts, train[evenly(range(len(train)), len(scored.rows))])
    if found is None or found[1] == 0:
        return None
    return Found(100 * found[0] / found[1], parts={"distance": found[0], "real": found[1]})


METRIC = Metric(
    "diversity",
    header="diversity, %",
    digits=1,
    better="higher",
    in_words="Mean distance of two images painted from one layout with other noise, in percent of "
    "that of two real images; 0 is a painter without noise.",
    compute=of_set,
)


def _mean_distance(features: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    return float(pdist(np.asarray(features, np.float64)).mean())
