"""The looks of real images, region by region: what a painter paints a class like.

A style is a vector for each class of an image: mean and deviation of the region's colours, and the
principal components of its mean pretrained features. SEAN (Zhu et al., CVPR 2020) learns such
vectors; measured ones need no network of their own, and no training.
"""

import numpy as np
import torch
from torch import Tensor

from data.pairs.batches import Stream, onehot
from data.pretrained import Features
from synth.painters.common.bank import StyleBank, region_means

MOMENTS = 6  # mean and deviation of red, green, blue
LAYERS = slice(1, 3)  # strides 4 and 8: texture, before objects
DEEPEST = 3
MIN_PIXELS = 4  # of a region that has a look
SCALE_MOMENTS, SCALE_COMPONENTS = 2.0, 0.5
BATCH = 16


@torch.no_grad()
def measure(bank: StyleBank, stream: Stream, features: Features) -> None:
    """Fill a bank with the styles of all pairs of a stream, measured."""
    num_classes = bank.shown.shape[1]
    found = [
        _describe(*batch, features, num_classes)
        for batch in zip(stream.images.split(BATCH), stream.labels.split(BATCH), strict=True)
    ]
    moments, means, pixels = (torch.cat(parts) for parts in zip(*found, strict=True))
    shown = pixels >= MIN_PIXELS
    components = _components(means.numpy(), shown.numpy(), bank.size - MOMENTS)
    styles = torch.cat([moments * SCALE_MOMENTS, torch.from_numpy(components)], 2)
    bank.put(stream.rows, styles, shown)
    bank.shares.copy_(pixels.sum(0) / pixels.sum())
    bank.mirrored.copy_(stream.mirrored[:num_classes])


def _describe(
    images: Tensor, labels: Tensor, features: Features, num_classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return colour moments `[B, C, 6]`, mean features `[B, C, D]` and pixels `[B, C]` of classes.

    Images uint8 `[B, 3, H, W]`, labels uint8 `[B, H, W]`.
    """
    shown = images.float() / 127.5 - 1
    planes = onehot(labels.long(), num_classes)
    mean, square = region_means(planes, shown), region_means(planes, shown**2)
    deviation = (square - mean**2).clamp(min=0).sqrt()
    described = [region_means(planes, layer) for layer in features(shown, DEEPEST)[LAYERS]]
    return torch.cat([mean, deviation], 2), torch.cat(described, 2), planes.sum((2, 3))


def _components(means: np.ndarray, shown: np.ndarray, number: int) -> np.ndarray:
    """Return the first principal components `[N, C, number]` of features `[N, C, D]`, whitened."""
    found = means[shown].astype(np.float64)
    center, spread = found.mean(0), found.std(0) + 1e-3
    _, values, axes = np.linalg.svd((found - center) / spread, full_matrices=False)
    kept = min(number, len(values))
    scale = values[:kept] / np.sqrt(len(found)) + 1e-6
    projected = ((means - center) / spread) @ axes[:kept].T / scale
    padded = np.zeros((*means.shape[:2], number), np.float32)
    padded[..., :kept] = projected * SCALE_COMPONENTS
    return padded
