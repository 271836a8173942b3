"""What every label filter works with: sets, segmenters to be trained, means over components."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from data.pairs.components import components
from data.pairs.pairset import PairSet, Rows
from data.stage.params import Params

BATCH_SIZE = 16

Posteriors = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Images `[B, H, W, 3]`, labels `[B, H, W]` -> posterior of each pixel's own class `[B, H, W]`."""


class FilterParams(Params):
    """The keys that the numbers of every filter have."""

    method: str
    num_folds: int = Field(ge=2)


@dataclass(frozen=True)
class Judging:
    """A set of synthetic pairs, the real training pairs, and how to train a segmenter on these.

    `fit(held_out, number)` trains segmenter `number` without the given rows of `real`.
    """

    pairs: PairSet
    real: PairSet
    fit: Callable[[np.ndarray, int], Posteriors]


@dataclass(frozen=True)
class Trusted:
    """One packed mask for each pair, uint8 `[N, ceil(H * W / 8)]`, and facts for the reader."""

    bits: np.ndarray
    facts: dict[str, object]


def means(numbered: np.ndarray, num_components: int, values: np.ndarray) -> np.ndarray:
    """Return the mean of values `[H, W]` over each component, float64 `[K]`."""
    places, length = numbered.ravel(), num_components + 1
    sums = np.bincount(places, values.ravel().astype(np.float64), length)
    return sums[1:] / np.bincount(places, minlength=length)[1:]


def measured(
    posteriors: Posteriors, pairs: PairSet, rows: Rows
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield row, classes `[K]` and mean posteriors `[K]` of the components of some pairs."""
    num_classes = pairs.classes.num_classes
    for first in range(0, len(rows), BATCH_SIZE):
        chosen = [int(row) for row in rows[first : first + BATCH_SIZE]]
        images, labels = zip(*(pairs.arrays(row) for row in chosen), strict=True)
        found = posteriors(np.stack(images), np.stack(labels))
        for row, label, values in zip(chosen, labels, found, strict=True):
            numbered, classes = components(label, num_classes)
            yield row, classes, means(numbered, len(classes), values)
