"""Images that choose, and others that confirm: the confirmation never saw the first at work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.stage.errors import UserError
from evaluate.cells import Split, read_splits
from segment.batches.pool import Part

HALVES = 5  # names the draw that cuts val into halves


@dataclass(frozen=True)
class Images:
    """Images of a split that rows are scored on; `words` says which, for example `half of val`."""

    words: str
    part: Part
    split: Split

    @property
    def ids(self) -> list[str]:
        """Ids of the pairs in order."""
        every = self.part.pairs.ids()
        return [every[row] for row in self.part.rows]


@dataclass(frozen=True)
class Shared:
    """The images that `choose`, and those that `confirm`."""

    choose: Images
    confirm: Images


def shared(real: Path, seed: int) -> Shared:
    """Choose on val and confirm on test; without a test split, on half of the groups of val each.

    Where val names no groups, its pairs are shared out, in blocks of neighbours where there are
    many. A val of one pair cannot be shared: `UserError`.
    """
    val, *test = read_splits(real)
    if test:
        return Shared(_whole(val), _whole(test[0]))
    if len(val.groups) < 2:
        raise UserError(
            f"{val.pairs.path} has one pair, and one half of val chooses, the other confirms; "
            "give val more pairs, or the dataset a split test"
        )
    first = halved(np.bincount(val.group), seed)
    taken = np.isin(val.group, first)
    what = "groups" if val.named else "images"
    return Shared(
        _some(val, np.flatnonzero(taken), f"half of the {what} of val"),
        _some(val, np.flatnonzero(~taken), f"the other half of the {what} of val"),
    )


def halved(sizes: Sequence[int] | np.ndarray, seed: int) -> list[int]:
    """Return the groups of one half, given their numbers of images; neither half is empty.

    Groups in a drawn order join the half with fewer images.
    """
    order = np.random.default_rng([seed, HALVES]).permutation(len(sizes))
    halves: tuple[list[int], list[int]] = ([], [])
    totals = [0, 0]
    for group in order.tolist():
        smaller = int(totals[1] < totals[0])
        halves[smaller].append(group)
        totals[smaller] += int(sizes[group])
    return sorted(halves[0])


def _whole(split: Split) -> Images:
    return Images(split.name, Part.whole(split.pairs), split)


def _some(split: Split, rows: np.ndarray, words: str) -> Images:
    names, group = np.unique(split.group[rows], return_inverse=True)
    groups = tuple(split.groups[name] for name in names)
    some = Split(split.name, split.pairs, group, groups, split.named)
    return Images(words, Part(split.pairs, rows), some)
