"""What a pretrained network sees in images, and how far apart they are for it.

EfficientNet-Lite0 with ImageNet weights (data/pretrained.py): no stage trains it, and its features
vary in more directions than those of a segmenter that has learnt one dataset.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.pairs.pairset import PairSet, Rows
from data.stage.params import Pretrained
from evaluate.metrics.judge import batches

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-6
FLAT = 0.01  # a channel that varies less, measured by the mean one, is no better known than that


@dataclass(frozen=True)
class Eyes:
    """A pretrained network: images uint8 `[B, H, W, 3]` -> features `[B, C, h, w]` by stride.

    `named` says in words which network it is.
    """

    look: Callable[[np.ndarray], "Sequence[Tensor]"]
    named: str


@dataclass(frozen=True)
class Seen:
    """What the network sees in N images.

    `pooled` `[N, D]` are the channels of all strides, averaged over the image. `apart` is the mean
    distance of two of the images, over all pairs: the mean over strides and positions of the
    squared difference of unit feature vectors, so 0 for one image twice and about 2 for two that
    have nothing in common (LPIPS, Zhang et al., CVPR 2018, without its learnt weights). None for
    one image.
    """

    pooled: np.ndarray
    apart: float | None


def load_eyes(name: Pretrained) -> Eyes:
    """Load the network; `UserError` without its package."""
    # with torch seconds of imports, which tables do not need
    import torch

    from data.pretrained import Features, depth

    net = Features(name)

    @torch.no_grad()
    def look(images: np.ndarray) -> "Sequence[Tensor]":
        channels_first = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return net(channels_first.float() / 127.5 - 1, depth(images.shape[1:3]))

    return Eyes(look, f"{name}, ImageNet")


def see(pairs: PairSet, rows: Rows, eyes: Eyes, *, batch_size: int) -> Seen:
    """Look once at the images of some rows; memory does not grow with their number."""
    pooled, total, squares = [], 0.0, 0.0
    for batch in batches(pairs, rows, batch_size, "features"):
        maps = eyes.look(np.stack([pair.image for pair in batch]))
        pooled.append(np.concatenate([one.mean((2, 3)).numpy() for one in maps], axis=1))
        units = _units(maps)
        total = total + units.sum(axis=0, dtype=np.float64)
        squares += float(np.square(units, dtype=np.float64).sum())
    number = len(rows)
    apart = None
    if number > 1:  # over all pairs, the mean squared distance is twice the variance
        apart = max(0.0, 2 / (number - 1) * (squares - float(np.square(total).sum()) / number))
    return Seen(np.concatenate(pooled).astype(np.float64), apart)


def in_deviations(pooled: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return features `[N, D]` in deviations of those of the real training images `[T, D]`.

    Every channel weighs alike, and the Euclidean distance of two rows is the root mean square over
    channels.
    """
    deviations = train.std(axis=0)
    floor = FLAT * deviations.mean() or 1.0
    return pooled / np.maximum(deviations, floor) / np.sqrt(train.shape[1])


def _units(maps: "Sequence[Tensor]") -> np.ndarray:
    """Return vectors float32 `[B, K]` whose squared distance is the mean over strides."""
    found = []
    for one in maps:
        unit = one.float() / (one.float().norm(dim=1, keepdim=True) + TINY)
        positions = one.shape[2] * one.shape[3]
        found.append((unit / np.sqrt(positions * len(maps))).flatten(1).numpy())
    return np.concatenate(found, axis=1)
