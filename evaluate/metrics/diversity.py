"""How much the images of one layout differ, in feature space."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np


def diversity(
    features: np.ndarray, layouts: Sequence[Hashable], real: np.ndarray
) -> dict[str, Any] | None:
    """Compare images of one layout with each other; None when no layout was painted twice.

    `layouts[i]` says which layout row i of `features` [N, D] was painted from. `distance` is the
    mean Euclidean distance of two images of a layout, averaged over layouts; `distance_real` that
    of two images of `real` [T, D], which differ in their layouts too; `percent` is their ratio. A
    painter without noise has 0.
    """
    groups: dict[Hashable, list[int]] = {}
    for row, layout in enumerate(layouts):
        groups.setdefault(layout, []).append(row)
    repeated = [rows for rows in groups.values() if len(rows) > 1]
    if not repeated or len(real) < 2:
        return None
    own = float(np.mean([_mean_distance(features[rows]) for rows in repeated]))
    scale = _mean_distance(real)
    return {
        "distance": own,
        "distance_real": scale,
        "percent": 100 * own / scale if scale > 0 else None,
        "num_layouts": len(repeated),
        "num_images": sum(map(len, repeated)),
        "num_real": len(real),
    }


def _mean_distance(features: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    return float(pdist(np.asarray(features, np.float64)).mean())
