"""Which pairs a segmenter sees, and in which order: real and synthetic items of every batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.pairs.sampling import epoch
from data.stage.errors import UserError

REAL, SYNTHETIC = 0, 1  # names of the two streams in the seed

Chances = tuple[float, ...] | None  # of the pairs of a stream; None shows all alike


def slice_of(rows: np.ndarray, seed: int, num_slices: int) -> np.ndarray:
    """Return the part of the synthetic rows, int64 `[N]`, that one seed reads.

    The rows are cut into `num_slices` contiguous parts whose lengths differ by at most one, and
    seed s reads part s modulo `num_slices`: the deviation over seeds then contains the drawing of
    pairs, and a further seed changes nothing for the others.
    """
    part = seed % num_slices
    return rows[part * len(rows) // num_slices : (part + 1) * len(rows) // num_slices]


def require_slices(seeds: Sequence[int], num_slices: int) -> None:
    """Refuse seeds that read the same synthetic pairs: their cells are not independent."""
    if len({seed % max(num_slices, 1) for seed in seeds}) < len(seeds) or num_slices < 1:
        raise UserError(
            f"report.seeds {list(seeds)} share slices of the synthetic pairs, because "
            f"segment.num_slices is {num_slices}; raise it (and num_pairs of the sets with it), so "
            "that no two seeds are equal modulo it and every seed draws its own pairs"
        )


@dataclass(frozen=True)
class Mix:
    """The batches of one training: item i of batch b is a pure function of (seed, b, i).

    `real` and `synthetic` are indices of pairs. The first `num_mixed` batches hold `num_real` real
    and `num_synthetic` synthetic pairs, the others as many pairs, all real. Both streams visit
    each of their pairs once an epoch, or as often as `chances` say (of real and of synthetic
    pairs), in an order of their own; several sets are one stream, so that each is shown in
    proportion to its size.
    """

    real: np.ndarray
    synthetic: np.ndarray
    num_real: int
    num_synthetic: int
    num_batches: int
    num_mixed: int
    seed: int
    chances: tuple[Chances, Chances] = (None, None)

    @property
    def batch_size(self) -> int:
        """Return the number of pairs in a batch, the same in all."""
        return self.num_real + self.num_synthetic

    @property
    def repeats(self) -> float:
        """Return how often a synthetic pair is shown on average; 0 without any."""
        shown = self.num_synthetic * self.num_mixed
        return shown / len(self.synthetic) if shown else 0.0

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
        mixed, alone = min(number, self.num_mixed), max(0, number - self.num_mixed)
        shown = mixed * self.num_real + alone * self.batch_size
        if number >= self.num_mixed:
            return self._draw(REAL, shown, self.batch_size)
        first = number * self.num_synthetic
        return np.concatenate(
            [
                self._draw(REAL, shown, self.num_real),
                self._draw(SYNTHETIC, first, self.num_synthetic),
            ]
        )

    def _draw(self, stream: int, first: int, count: int) -> np.ndarray:
        rows, chances = (self.real, self.synthetic)[stream], self.chances[stream]
        size, places = len(rows), range(first, first + count)
        orders = {
            number: _order((self.seed, stream), number, size, chances)
            for number in dict.fromkeys(place // size for place in places)
        }
        chosen = [rows[orders[place // size][place % size]] for place in places]
        return np.asarray(chosen, np.int64)


def make_mix(
    real: Sequence[int],
    synthetic: Sequence[int],
    *,
    num_real: int,
    num_synthetic: int,
    num_batches: int,
    until: float = 1.0,
    seed: int,
    chances: tuple[Chances, Chances] = (None, None),
) -> Mix:
    """Plan the batches of a training.

    After the fraction `until` of the batches, in (0, 1], only real pairs are shown.
    """
    if (num_real or until < 1) and not len(real):
        raise UserError("the set of real pairs is empty; set `real: 0` in the row, or add pairs")
    if num_synthetic and not len(synthetic):
        raise UserError("the row's sets are empty; set `synthetic: 0` in the row, or add pairs")
    return Mix(
        real=np.asarray(real, np.int64),
        synthetic=np.asarray(synthetic, np.int64),
        num_real=num_real,
        num_synthetic=num_synthetic,
        num_batches=num_batches,
        num_mixed=max(1, round(until * num_batches)),
        seed=seed,
        chances=chances,
    )


@lru_cache(maxsize=8)  # two streams, and a batch may reach into the next epoch
def _order(key: tuple[int, int], number: int, size: int, chances: Chances) -> np.ndarray:
    rng = np.random.default_rng(np.random.SeedSequence([*key, number]))
    return epoch(rng, size, chances)
