"""The looks of real images, region by region: what a painter paints a class like.

A style is a vector for each class of an image: mean and deviation of the region's colours, and the
principal components of its mean pretrained features. SEAN (Zhu et al., CVPR 2020) learns such
vectors; measured ones need no network of their own, and no training.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.pairs.batches import Stream, onehot
from data.pretrained import Features

MOMENTS = 6  # mean and deviation of red, green, blue
LAYERS = slice(1, 3)  # strides 4 and 8: texture, before objects
DEEPEST = 3
MIN_PIXELS = 4  # of a region that has a look
SCALE_MOMENTS, SCALE_COMPONENTS = 2.0, 0.5
BATCH = 16


class StyleBank(nn.Module):
    """The styles of training pairs, `[N, C, S]` by row of their set, and which classes they show.

    A look is asked for by row; classes that its image lacks take the style of another one. An empty
    bank gives zeros. What is loaded into it decides how many rows it has.
    """

    styles: Tensor
    shown: Tensor
    shares: Tensor
    mirrored: Tensor

    def __init__(self, num_classes: int, num_components: int) -> None:
        super().__init__()
        self.num_components = num_components
        size = MOMENTS + num_components
        self.register_buffer("styles", torch.zeros(0, num_classes, size))
        self.register_buffer("shown", torch.zeros(0, num_classes, dtype=torch.bool))
        # of the pixels, by class, and the class that each becomes in a mirrored image
        self.register_buffer("shares", torch.full((num_classes,), 1 / num_classes))
        self.register_buffer("mirrored", torch.arange(num_classes))

    @property
    def size(self) -> int:
        """Return the length S of a style."""
        return self.styles.shape[2]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.styles)

    @torch.no_grad()
    def fill(self, stream: Stream, features: Features) -> None:
        """Measure the styles of all pairs of a stream."""
        num_classes = self.shown.shape[1]
        found = [
            _describe(*batch, features, num_classes)
            for batch in zip(stream.images.split(BATCH), stream.labels.split(BATCH), strict=True)
        ]
        moments, means, pixels = (torch.cat(parts) for parts in zip(*found, strict=True))
        shown = pixels >= MIN_PIXELS
        components = _components(means.numpy(), shown.numpy(), self.num_components)
        styles = torch.cat([moments * SCALE_MOMENTS, torch.from_numpy(components)], 2)
        rows = stream.rows
        self._resize(int(rows.max()) + 1)
        self.styles[rows], self.shown[rows] = styles * shown[..., None], shown
        self.shares.copy_(pixels.sum(0) / pixels.sum())
        self.mirrored.copy_(stream.mirrored[:num_classes])

    def looks(self, rows: Tensor, numbers: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Return the styles `[B, C, S]` of rows `[B]`, or `[B, C]` for one of each class.

        `numbers` uniform in [0, 1), `[B, C]`, choose whose style a class takes that the row lacks.
        `mirrored` bool `[B]`: a class is painted like the one that it was before its image was
        mirrored, a left eye like the right one.
        """
        count, classes, size = self.styles.shape
        if not count:
            return self.styles.new_zeros(len(rows), classes, size)
        rows = rows if rows.dim() == 2 else rows[:, None].expand(-1, classes)
        like = torch.arange(classes, device=rows.device).expand_as(rows)
        if mirrored is not None:
            like = torch.where(mirrored[:, None], self.mirrored, like)
        # of each class the rows that show it, first; the place of a number among them
        order = torch.sort(self.shown.int(), dim=0, descending=True, stable=True).indices
        place = (numbers * self.shown.sum(0)[like]).long()
        rows = torch.where(self.shown[rows, like], rows, order[place, like])
        return self.styles[rows, like]

    def other(self, numbers: Tensor) -> Tensor:
        """Return looks of whole images `[B, C, S]`; `numbers` uniform in [0, 1), `[B, 1 + C]`."""
        return self.looks((numbers[:, 0] * len(self)).long(), numbers[:, 1:])

    def _resize(self, count: int) -> None:
        for name in ("styles", "shown"):
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_zeros(count, *buffer.shape[1:]))

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        if (styles := state_dict.get(f"{prefix}styles")) is not None:
            self._resize(len(styles))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def style_map(layout: Tensor, looks: Tensor) -> Tensor:
    """Give each pixel of layouts `[B, C, H, W]` the style of its class, `[B, S, H, W]`."""
    return torch.einsum("bchw,bcs->bshw", layout, looks.to(layout))


def _describe(
    images: Tensor, labels: Tensor, features: Features, num_classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return colour moments `[B, C, 6]`, mean features `[B, C, D]` and pixels `[B, C]` of classes.

    Images uint8 `[B, 3, H, W]`, labels uint8 `[B, H, W]`.
    """
    shown = images.float() / 127.5 - 1
    planes = onehot(labels.long(), num_classes)
    mean, square = _means(planes, shown), _means(planes, shown**2)
    deviation = (square - mean**2).clamp(min=0).sqrt()
    described = [_means(planes, layer) for layer in features(shown, DEEPEST)[LAYERS]]
    return torch.cat([mean, deviation], 2), torch.cat(described, 2), planes.sum((2, 3))


def _means(planes: Tensor, maps: Tensor) -> Tensor:
    """Return the means `[B, C, K]` of maps `[B, K, h, w]` over classes `[B, C, H, W]`."""
    part = F.interpolate(planes, maps.shape[2:], mode="area")
    sums = torch.einsum("bchw,bkhw->bck", part, maps)
    return sums / part.sum((2, 3)).clamp(min=1e-6)[..., None]


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
