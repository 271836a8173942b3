"""Decoded pairs for training and scoring, in memory while they fit, else on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from data.pairs.classes import IGNORE
from data.pairs.pairset import PairSet
from segment.batches.decoded import BYTES_PER_PIXEL, reserve
from segment.batches.masks import Masks

SHUFFLED = 3  # names the draw that puts labels to other images


@dataclass(frozen=True)
class Part:
    """Some rows of a pair set, and which of their pixels give a loss.

    Pixels that `masks` do not trust are ignored; so are those within `seam` pixels of the edge of
    what was edited, on both sides, where a pair says what that is. `labels` are the rows that
    labels are taken from, with what is ignored in them; None for their own.
    """

    pairs: PairSet
    rows: np.ndarray
    masks: Masks | None = None
    seam: int = 0
    labels: np.ndarray | None = None

    @classmethod
    def whole(cls, pairs: PairSet) -> "Part":
        """Return all rows, every pixel trusted."""
        return cls(pairs, np.arange(len(pairs)))

    def arrays(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image uint8 `[H, W, 3]` and label uint8 `[H, W]` of the pair at an index."""
        image, label = self._own(int(self.rows[index]))
        return image, label if self.labels is None else self._own(int(self.labels[index]))[1]

    def shuffled(self, seed: int) -> "Part":
        """Return the part with every label at another image, in an order drawn by the seed.

        A single pair keeps its label.
        """
        cycle = np.random.default_rng([seed, SHUFFLED]).permutation(len(self.rows))
        labels = np.empty_like(self.rows)
        labels[cycle] = self.rows[np.roll(cycle, 1)]
        return replace(self, labels=labels)

    def _own(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        if not self.seam and self.masks is None:
            return self.pairs.arrays(row)
        pair = self.pairs[row]
        label = pair.label
        if self.seam and pair.edited is not None:
            label = np.where(seam_of(pair.edited, self.seam), np.uint8(IGNORE), label)
        if self.masks is not None:
            label = np.where(self.masks[pair.id], label, np.uint8(IGNORE))
        return pair.image, label


class Pool:
    """Parts of pair sets, one after the other: `pool[i]` -> (image, label), `pool.batches(size)`.

    Images are uint8 `[H, W, 3]`, labels uint8 `[H, W]`. With `supervised`, pixels of all other
    classes become `IGNORE`. Pairs are decoded once and kept: in memory when they need at most
    `memory_limit_mb` megabytes, else in a file in the folder `scratch`, which takes 4 bytes a
    pixel and is gone when the process ends. Without room there, or without `scratch`, they are
    decoded at every access. Processes forked after this share what is kept.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        memory_limit_mb: int,
        supervised: Sequence[int] | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part.rows) for part in self._parts])
        self._table = _label_table(supervised)
        height, width = self._parts[0].pairs.size
        needed = len(self) * height * width * BYTES_PER_PIXEL
        self._memory = self._file = None
        if needed <= memory_limit_mb * 2**20:
            self._memory = [self._decode(index) for index in range(len(self))]
        elif scratch is not None:
            self._file = reserve(scratch, len(self), (height, width))

    def __len__(self) -> int:
        """Return the number of pairs."""
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image and label of one pair; do not write into them."""
        if self._memory is not None:
            return self._memory[index]
        if self._file is None:
            return self._decode(index)
        if index not in self._file:
            self._file.put(index, *self._decode(index))
        return self._file[index]

    def ids(self) -> list[str]:
        """Return the ids of the pairs in order."""
        found = []
        for part in self._parts:
            names = part.pairs.ids()
            found += [names[row] for row in part.rows]
        return found

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield images `[B, H, W, 3]` and labels `[B, H, W]` in order, B <= size."""
        for first in range(0, len(self), size):
            items = [self[index] for index in range(first, min(first + size, len(self)))]
            images, labels = zip(*items, strict=True)
            yield np.stack(images), np.stack(labels)

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        part = self._parts[number]
        image, label = part.arrays(index - int(self._ends[number]) + len(part.rows))
        return image, self._table[label]


def seam_of(edited: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels within `width` pixels of the edge of a mask, on both sides, bool `[H, W]`.

    Diagonal neighbours count; the border of the image is not an edge.
    """
    near = np.ones((3, 3), bool)
    grown = (ndimage.binary_dilation(side, near, iterations=width) for side in (edited, ~edited))
    return np.logical_and(*grown)


def _label_table(supervised: Sequence[int] | None) -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    if supervised is not None:
        dropped = np.setdiff1d(table, np.asarray(supervised, np.uint8))
        table[dropped] = IGNORE
    return table
