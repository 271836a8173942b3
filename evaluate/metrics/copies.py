"""Are synthetic images copies? Distances to the nearest real training image, in feature space."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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
    found = distances.argmin(axis=1)
    return found, distances[np.arange(len(distances)), found]


def copies(
    synthetic: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    *,
    ids: Sequence[str],
    train_ids: Sequence[str],
    parents: Sequence[str | None],
) -> dict[str, Any]:
    """Compare how near synthetic and held-out real images come to the real training images.

    Features are [N, D], [T, D] and [V, D]. `share` is the percentage of synthetic images nearer
    to a training image than the first percentile of the held-out ones, whose own share is 1 by
    definition: they come from other videos or scenes, so the yardstick is never two frames of one
    video. A pair's own parent does not count: it is meant to be alike. `closest` names the
    nearest few, nearest first. There must be two training images or more.
    """
    rows = {name: row for row, name in enumerate(train_ids)}
    own = [None if parent is None else rows[parent] for parent in parents]
    _, real = nearest(held_out, train)
    index, distance = nearest(synthetic, train, own)
    limit = float(np.percentile(real, PERCENTILE))
    first = np.argsort(distance, kind="stable")[:NUM_CLOSEST]
    return {
        "share": float((distance < limit).mean() * 100),
        "limit": limit,
        "median": float(np.median(distance)),
        "median_held_out": float(np.median(real)),
        "num_pairs": len(synthetic),
        "num_held_out": len(held_out),
        "num_train": len(train),
        "closest": [
            {"id": ids[i], "real": train_ids[index[i]], "distance": float(distance[i])}
            for i in first
        ],
    }
