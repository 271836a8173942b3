"""Are synthetic images copies? Distances to the nearest real training image, in feature space."""

from collections.abc import Sequence

import numpy as np

from evaluate.metrics.metric import Found, Metric, Scored

PERCENTILE = 1  # of the nearest distances of held-out real images; what is closer is suspect
NUM_CLOSEST = 4  # suspects that are named, and shown


def nearest(
    features: np.ndarray, others: np.ndarray, left_out: Sequence[int | None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest of `others` [M, D] for each row of `features` [N, D]: index, distance.

    Euclidean; `left_out[i]` is an index that does not count for row i, or None. Both are [N].
    """
    from scipy.spatial.distance import cdist

    distances = cdist(np.asarray(features, np.float64), np.asarray(others, np.float64))
    for row, other in enumerate(left_out or ()):
        if other is not None:
            distances[row, other] = np.inf
    index = distances.argmin(axis=1)
    return index, distances[np.arange(len(distances)), index]


def copies(
    synthetic: np.ndarray, train: np.ndarray, held_out: np.ndarray, own: Sequence[int | None]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Compare how near synthetic and held-out real images come to the real training images.

    Features are [N, D], [T, D] and [V, D]; `own[i]` is the training row that pair i starts from,
    which does not count: it is meant to be alike. Returns the percentage of synthetic images nearer
    to a training image than the first percentile of the held-out ones, whose own percentage is 1 by
    definition (they come from other videos or scenes, so the yardstick is never two frames of one
    video), and index and distance of the nearest, [N]. There must be two training images or more.
    """
    _, real = nearest(held_out, train)
    index, distance = nearest(synthetic, train, own)
    limit = float(np.percentile(real, PERCENTILE))
    return float((distance < limit).mean() * 100), index, distance


def of_set(scored: Scored) -> Found | None:
    """Return the percentage of copies; facts name the nearest few pairs, nearest first."""
    train, val = scored.reference.train, scored.reference.val
    if min(len(train.ids), len(val.ids)) < 2:
        return None
    rows = {name: row for row, name in enumerate(train.ids)}
    ids, parents = scored.pairs.column("id"), scored.pairs.column("parent")
    own = [rows.get(parents[row]) for row in scored.rows]
    percent, index, distance = copies(scored.features, train.features, val.features, own)
    first = np.argsort(distance, kind="stable")[:NUM_CLOSEST]
    closest = [
        {"id": ids[scored.rows[i]], "real": train.ids[index[i]], "distance": float(distance[i])}
        for i in first
    ]
    return Found(percent, facts={"closest": closest})


METRIC = Metric(
    "copies",
    header="copies, %",
    digits=1,
    better="lower",
    in_words="Percentage of images nearer to a real training image (their own parent left out) "
    "than 99 of 100 real val images are, in the judge's features. About 1 is no sign of copying; "
    "sets that start from real layouts may have more where training images resemble each other.",
    compute=of_set,
)
