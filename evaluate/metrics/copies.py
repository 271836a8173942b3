"""Are synthetic images copies? Distances to the nearest real training image of another scene."""

from collections.abc import Sequence

import numpy as np

from evaluate.metrics.features import in_deviations
from evaluate.metrics.metric import Found, Metric, RealPairs, Scored

PERCENTILE = 1  # of the nearest distances of real images; what is closer is suspect
NUM_CLOSEST = 4  # suspects that are named, and shown


def nearest(
    features: np.ndarray, others: np.ndarray, left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest of `others` [M, D] for each row of `features` [N, D]: index, distance.

    Euclidean; where `left_out` [N, M] is true, the other does not count. Both are [N]; the distance
    is infinite where none counts.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(np.asarray(features, np.float64), np.asarray(others, np.float64))
    distances[left_out] = np.inf
    index = distances.argmin(axis=1)
    return index, distances[np.arange(len(distances)), index]


def percent_nearer(distances: np.ndarray, real: np.ndarray) -> float:
    """Return the percentage of distances below the first percentile of those of real images.

    Their own percentage is 1 by construction.
    """
    return float((distances < np.percentile(real, PERCENTILE)).mean() * 100)


def alike(train: RealPairs, ids: Sequence[str | None], groups: Sequence[str | None]) -> np.ndarray:
    """Return which training images are meant to be like each of N images, bool [N, T].

    `ids` and `groups` [N] are the training image that each starts from and its group (video,
    scene), or None: the image itself and all of its group, unless there is no other group.
    """
    named = [row for row, group in enumerate(groups) if group is not None]
    result = np.asarray(ids, object)[:, None] == np.asarray(train.ids, object)
    for row in named:
        grouped = np.asarray(train.groups, object) == groups[row]
        if not grouped.all():
            result[row] |= grouped
    return result


def of_set(scored: Scored) -> Found | None:
    """Return the percentage of copies; facts name the nearest few pairs, nearest first."""
    seen, train, val = scored.seen, scored.reference.train, scored.reference.val
    if seen is None or train.seen is None or val.seen is None:
        return None
    if min(len(train.ids), len(val.ids)) < 2:
        return None
    group_of = dict(zip(train.ids, train.groups, strict=True))
    all_ids, all_parents = scored.pairs.column("id"), scored.pairs.column("parent")
    parents = [all_parents[row] for row in scored.rows]
    own = alike(train, parents, [group_of.get(parent) for parent in parents])
    known = in_deviations(train.seen.pooled, train.seen.pooled)
    # Of train too: the images of a single held-out video are all equally far from the others.
    real = np.concatenate([known, in_deviations(val.seen.pooled, train.seen.pooled)])
    nobody = [None] * len(val.ids)
    others = alike(train, (*train.ids, *nobody), (*train.groups, *val.groups))
    _, usual = nearest(real, known, others)
    index, distance = nearest(in_deviations(seen.pooled, train.seen.pooled), known, own)
    first = np.argsort(distance, kind="stable")[:NUM_CLOSEST]
    closest = [
        {
            "id": all_ids[scored.rows[i]],
            "real": train.ids[index[i]],
            "distance": float(distance[i]),
        }
        for i in first
        if np.isfinite(distance[i])
    ]
    return Found(percent_nearer(distance, usual), facts={"closest": closest})


METRIC = Metric(
    "feature_copies",
    header="copies, %",
    digits=1,
    better="lower",
    in_words="Percentage of images nearer to a real training image than 99 of 100 real images are "
    "to another one, in pretrained features. Images of one video or scene are alike without being "
    "copies: where the dataset names such groups, an image is compared with other groups than its "
    "own (a synthetic one: than its parent's), else with all but its parent. About 1 is no sign of "
    "copying.",
    compute=of_set,
)
