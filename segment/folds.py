"""Folds of the real training pairs, and segmenters that are trained without one of them."""

import numpy as np

from data.pairs.pairset import PairSet
from data.pairs.schema import schema
from data.stage.errors import UserError


def groups_of(real: PairSet) -> list[str]:
    """Return what must not be cut, for each pair: its video, city or scene, or itself."""
    known = "group" in schema(real.classes, real.size).names
    groups = real.column("group") if known else [None] * len(real)
    # a group may be called like a pair
    named = zip(real.ids(), groups, strict=True)
    return [f"group {group}" if group else f"pair {name}" for name, group in named]


def divide(real: PairSet, num_folds: int, key: str) -> list[np.ndarray]:
    """Divide the rows of a set into folds, int64 `[N]`, of about the same size, each group whole.

    The same in every run. Raises `UserError`, naming the parameter `key`, for fewer groups than
    folds.
    """
    from sklearn.model_selection import GroupKFold

    groups = groups_of(real)
    found = len(set(groups))
    if found < num_folds:
        raise UserError(
            f"the training pairs come from {found} videos, cities or scenes, too few for "
            f"{num_folds} folds; lower {key}"
        )
    rows = np.arange(len(real))
    return [held_out for _, held_out in GroupKFold(num_folds).split(rows, groups=groups)]
