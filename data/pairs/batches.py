"""Training batches as a pure function of the number of images shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.pairs.sampling import Sampling, Shown, chances, epoch
from data.pairs.shards import PairSet


@dataclass(frozen=True)
class Batch:
    """`image` float32 `[B, 3, H, W]` in [-1, 1] and `label` int64 `[B, H, W]`.

    `row` int64 `[B]` says which pairs of their set they are, `mirrored` bool `[B]` which of them
    are mirrored left to right. Where a stream holds labels alone, images are `[B, 3, 0, 0]`.
    """

    image: Tensor
    label: Tensor
    row: Tensor
    mirrored: Tensor


class Stream:
    """An endless, seeded, resumable stream of pairs held in memory.

    `images` uint8 `[N, 3, H, W]`, `labels` uint8 `[N, H, W]`. Every epoch visits each pair once, or
    as often as `probabilities` `[N]` say, in an order that depends on (seed, epoch) only; with
    `flip`, each visit is mirrored left to right with probability 1/2, and a label of class c then
    becomes `mirrored[c]`. `rows` `[N]` are the rows of the set that the pairs come from, by default
    0 to N - 1.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        seed: int,
        flip: bool,
        mirrored: Sequence[int],
        rows: np.ndarray | None = None,
        probabilities: Sequence[float] | None = None,
    ) -> None:
        """Hold the tensors; nothing is copied."""
        self.images, self.labels = images, labels
        self.rows = torch.arange(len(labels)) if rows is None else torch.as_tensor(rows)
        self.mirrored = torch.as_tensor(mirrored)
        self._seed, self._flip, self._probabilities = seed, flip, probabilities
        self._order: tuple[int, np.ndarray, np.ndarray] | None = None

    def batch(self, position: int, size: int) -> Batch:
        """Return the `size` pairs that come after `position` pairs have been shown."""
        places, mirror = self._visits(position, size)
        image = self.images[places].float() / 127.5 - 1
        label = self.labels[places].long()
        image = torch.where(mirror[:, None, None, None], image.flip(-1), image)
        label = torch.where(mirror[:, None, None], self.mirrored[label.flip(-1)], label)
        return Batch(image, label, self.rows[places], mirror)

    def places(self, position: int, size: int) -> Tensor:
        """Return the places in the stream of the pairs of `batch(position, size)`, int64."""
        return self._visits(position, size)[0]

    def _visits(self, position: int, size: int) -> tuple[Tensor, Tensor]:
        """Return places of pairs and which of them are mirrored, both `[size]`."""
        chosen, mirrored = [], []
        for shown in range(position, position + size):
            order, flips = self._epoch(shown // len(self.labels))
            chosen.append(order[shown % len(self.labels)])
            mirrored.append(flips[shown % len(self.labels)])
        return torch.as_tensor(np.asarray(chosen)), torch.as_tensor(np.asarray(mirrored))

    def _epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        if self._order is None or self._order[0] != number:
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, number]))
            order = epoch(rng, len(self.labels), self._probabilities)
            flips = rng.random(len(self.labels)) < 0.5 if self._flip else np.zeros(len(order), bool)
            self._order = (number, order, flips)
        return self._order[1], self._order[2]


def load_stream(
    pairs: PairSet,
    *,
    seed: int,
    flip: bool,
    source: str = "real",
    images: bool = True,
    sampling: Sampling = "uniform",
) -> Stream:
    """Decode all pairs of one source into memory and return their stream.

    Without `images` labels alone are read and decoded; `rare_looks` wants images.
    """
    rows = pairs.select(source)
    if images:
        shown, labels = load_tensors(pairs, rows)
    else:
        shown = torch.empty(len(rows), 3, 0, 0, dtype=torch.uint8)
        labels = torch.from_numpy(pairs.labels(rows))

    def pixels() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return zip(shown.permute(0, 2, 3, 1).numpy(), labels.numpy(), strict=True)

    palettes = pairs.column("palette")[rows]
    likely = chances(sampling, Shown(palettes, pairs.classes.eval_ids, pixels))
    about = {"mirrored": pairs.classes.mirrored, "rows": rows, "probabilities": likely}
    return Stream(shown, labels, seed=seed, flip=flip, **about)


def load_tensors(pairs: PairSet, rows: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
    """Decode pairs into uint8 images `[N, 3, H, W]` and labels `[N, H, W]`."""
    height, width = pairs.size
    images = torch.empty(len(rows), 3, height, width, dtype=torch.uint8)
    labels = torch.empty(len(rows), height, width, dtype=torch.uint8)
    for slot, row in enumerate(rows):
        image, label = pairs.arrays(int(row))
        images[slot] = torch.from_numpy(image.transpose(2, 0, 1).copy())
        labels[slot] = torch.from_numpy(label.copy())
    return images, labels


def onehot(label: Tensor, num_classes: int) -> Tensor:
    """Turn labels int64 `[B, H, W]` into float32 `[B, C, H, W]`; every id must be below C."""
    # `F.one_hot` fills int64 and looks for the largest id first: several times slower.
    wide = torch.zeros(*label.shape, num_classes, device=label.device)
    return wide.scatter_(3, label[..., None], 1.0).permute(0, 3, 1, 2)
