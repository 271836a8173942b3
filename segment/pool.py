"""Decoded pairs for training and scoring, in memory while they fit, else on disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data.pairs.classes import IGNORE
from data.pairs.shards import PairSet
from segment.decoded import BYTES_PER_PIXEL, reserve


class Pool:
    """Some rows of a pair set: `len(pool)`, `pool[i]` -> (image, label), `pool.batches(size)`.

    Images are uint8 `[H, W, 3]`, labels uint8 `[H, W]`. With `supervised`, pixels of all other
    classes become `IGNORE`. Pairs are decoded once and kept: in memory when they need at most
    `memory_limit_mb` megabytes, else in a file in the folder `scratch`, which takes 4 bytes a
    pixel and is gone when the process ends. Without room there, or without `scratch`, they are
    decoded at every access. Processes forked after this share what is kept.
    """

    def __init__(
        self,
        pairs: PairSet,
        rows: Sequence[int],
        *,
        memory_limit_mb: int,
        supervised: Sequence[int] | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._pairs, self._rows = pairs, [int(row) for row in rows]
        self._table = _label_table(supervised)
        height, width = pairs.size
        needed = len(self._rows) * height * width * BYTES_PER_PIXEL
        self._memory = self._file = None
        if needed <= memory_limit_mb * 2**20:
            self._memory = [self._decode(row) for row in self._rows]
        elif scratch is not None:
            self._file = reserve(scratch, len(self._rows), pairs.size)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image and label of one pair; do not write into them."""
        if self._memory is not None:
            return self._memory[index]
        if self._file is None:
            return self._decode(self._rows[index])
        if index not in self._file:
            self._file.put(index, *self._decode(self._rows[index]))
        return self._file[index]

    def ids(self) -> list[str]:
        """Return the ids of the pairs in order."""
        names = self._pairs.ids()
        return [names[row] for row in self._rows]

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield images `[B, H, W, 3]` and labels `[B, H, W]` in order, B <= size."""
        for first in range(0, len(self), size):
            items = [self[index] for index in range(first, min(first + size, len(self)))]
            images, labels = zip(*items, strict=True)
            yield np.stack(images), np.stack(labels)

    def _decode(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = self._pairs.arrays(row)
        return image, self._table[label]


def _label_table(supervised: Sequence[int] | None) -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    if supervised is not None:
        dropped = np.setdiff1d(table, np.asarray(supervised, np.uint8))
        table[dropped] = IGNORE
    return table
