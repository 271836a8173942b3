"""Which pairs a segmenter sees, and in which order: real and synthetic shares of every batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.stage.errors import UserError

REAL, SYNTHETIC = 0, 1  # names of the two streams in the seed


def slice_of(rows: np.ndarray, seed: int, num_slices: int) -> np.ndarray:
    """Return the part of the synthetic rows that one seed reads.

    The rows are cut into `num_slices` contiguous parts whose lengths differ by at most one, and
    seed s reads part s modulo `num_slices`: the deviation over seeds then contains the drawing of
    pairs, and a further seed changes nothing for the others.
    """
    part = seed % num_slices
    return rows[part * len(rows) // num_slices : (part + 1) * len(rows) // num_slices]


@dataclass(frozen=True)
class Mix:
    """The batches of one training: item i of batch b is a pure function of (seed, b, i).

    `real` and `synthetic` are indices of pairs. Every batch holds `num_real` real pairs and
    `batch_size - num_real` synthetic ones; both streams visit each of their pairs once an epoch,
    in an order of their own.
    """

    real: np.ndarray
    synthetic: np.ndarray
    batch_size: int
    num_real: int
    num_batches: int
    seed: int

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.num_batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield batches of (index of the pair, number of the draw)."""
        for number in range(self.num_batches):
            indices = self.batch(number)
            first = number * self.batch_size
            yield [(int(index), first + item) for item, index in enumerate(indices)]

    def batch(self, number: int) -> np.ndarray:
        """Return the indices of one batch, real pairs first, int64 `[batch_size]`."""
        num_synthetic = self.batch_size - self.num_real
        return np.concatenate(
            [
                _draw(self.real, number * self.num_real, self.num_real, (self.seed, REAL)),
                _draw(
                    self.synthetic, number * num_synthetic, num_synthetic, (self.seed, SYNTHETIC)
                ),
            ]
        )


def make_mix(
    real: Sequence[int],
    synthetic: Sequence[int],
    *,
    batch_size: int,
    real_share: float,
    num_batches: int,
    seed: int,
) -> Mix:
    """Plan the batches of a training.

    With synthetic pairs, round(`real_share` * `batch_size`) items of every batch are real;
    without any, all are. The total is the same, so recipes differ only in what they show.
    """
    num_real = round(real_share * batch_size) if len(synthetic) else batch_size
    if num_real and not len(real):
        raise UserError("the pair set holds no real pairs; set segment.real_share to 0 or add them")
    return Mix(
        real=np.asarray(real, np.int64),
        synthetic=np.asarray(synthetic, np.int64),
        batch_size=batch_size,
        num_real=num_real,
        num_batches=num_batches,
        seed=seed,
    )


def _draw(rows: np.ndarray, first: int, count: int, key: tuple[int, int]) -> np.ndarray:
    places = range(first, first + count)
    size = len(rows)
    chosen = [rows[_order(key, place // size, size)[place % size]] for place in places]
    return np.asarray(chosen, np.int64)


@lru_cache(maxsize=8)  # two streams, and a batch may reach into the next epoch
def _order(key: tuple[int, int], epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng(np.random.SeedSequence([*key, epoch])).permutation(size)
