"""Scenes that are small and quick to draw: labels, pairs, their palettes, a stream of them."""

import numpy as np
import torch

from data.pairs.batches import Stream
from data.pairs.pair import Pair
from synth.palettes.palette import PaletteModel, PaletteParams, fit
from tests.synth import small

SIZE, STREET = (16, 32), (32, 64)


def skies(count: int) -> np.ndarray:
    """Return layouts uint8 `[count, H, W]`: sky above a road, a block of class 2 on one side."""
    rng = np.random.default_rng(0)
    label = np.zeros((count, *SIZE), np.uint8)
    for item in label:
        item[rng.integers(6, 12) :] = 1
        left = rng.integers(0, 24)
        item[4:10, left : left + 8] = 2
    return label


def scene(index: int) -> Pair:
    """Return a real pair: sky of some rows, a road, a car, and noise for an image."""
    rng = np.random.default_rng(index)
    label = np.zeros(STREET, np.uint8)
    label[: int(rng.integers(8, 20))] = 1
    left = int(rng.integers(0, 48))
    label[22:28, left : left + 12] = 2
    image = rng.integers(0, 256, (*STREET, 3), dtype=np.uint8)
    return Pair(f"scene-{index}", image, label, "real")


def law_of(shares: np.ndarray, most: int = 1, min_share: float = 0.0) -> PaletteModel:
    """Fit the law of palettes `[N, C]`, a mixture of `most` Gaussians at most."""
    params = PaletteParams(**small.PALETTE | {"max_components": most})
    return fit(shares, params, min_share=min_share)[0]


def stream_of(labels: np.ndarray, images: np.ndarray | None = None, flip: bool = True) -> Stream:
    """Return a stream of labels `[N, H, W]` and images `[N, H, W, 3]`, black ones for None."""
    pixels = torch.zeros(len(labels), 3, *labels.shape[1:], dtype=torch.uint8)
    if images is not None:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return Stream(pixels, torch.from_numpy(labels), seed=0, flip=flip, mirrored=range(255))
