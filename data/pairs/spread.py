"""An order of pairs of which every beginning is spread evenly: over groups, and within each."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

TRAIN = "train"  # real pairs that training sees
POOL = "pool"  # all real pairs that it could see, where `TRAIN` is a limited number of them


def spread(groups: Sequence[str | None]) -> np.ndarray:
    """Return the rows of pairs, int64 `[N]`, so that the first n of them stand for all.

    `groups` has the group of every row (video, city, scene), in the order of the pairs; pairs
    without one are a group together. For every n each group has its share of the first n rows
    (Webster's apportionment, which takes no seat away when there are more), and its own rows are
    visited as a van der Corput sequence does: first one, then one halfway, then between the two.
    What n rows hold, more rows hold too.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group or ""].append(row)
    if not members:
        return np.empty(0, np.int64)
    names = sorted(members)
    order = {names[place]: turn for turn, place in enumerate(_halving(len(names)))}
    keyed = [
        ((turn + 0.5) / len(rows), order[group], rows[place])
        for group, rows in members.items()
        for turn, place in enumerate(_halving(len(rows)))
    ]
    return np.asarray([row for *_, row in sorted(keyed)], np.int64)


def _halving(count: int) -> list[int]:
    """Return the numbers below `count`, each as far from those before it as halving brings it."""
    bits = max(1, (count - 1).bit_length())
    turned = (int(f"{turn:0{bits}b}"[::-1], 2) for turn in range(2**bits))
    return list(dict.fromkeys(place * count // 2**bits for place in turned))
