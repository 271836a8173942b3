"""Where a pixel lies in its object: shape-aware position descriptors (SAFM, Lv et al., CVPR 2022).

Of each pixel of an object, how the points of the object's outline lie around it: counted by
distance and angle, as in shape contexts. Objects are connected regions of a class, since instances
are not known; large ones, such as road and sky, are no objects.
"""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

RINGS, SECTORS = 6, 12
BINS = RINGS * SECTORS
RADII = np.geomspace(0.125, 2.0, RINGS)  # of half the longest distance in the object
OUTLINE = 64  # points of an outline at most; more of them change the shares little


@torch.library.custom_op("scene_palette::descriptors", mutates_args=())
def descriptors(labels: Tensor, smallest: int, largest: float) -> Tensor:
    """Describe labels int64 `[B, H, W]`: float32 `[B, 72, H, W]`, shares of a pixel add up to 1.

    Pixels of regions of fewer than `smallest` pixels, or of more than the fraction `largest` of the
    image, have zeros.
    """
    found = [_describe(label, smallest, largest) for label in labels.cpu().numpy()]
    return torch.from_numpy(np.stack(found)).to(labels.device)


@descriptors.register_fake
def _(labels: Tensor, smallest: int, largest: float) -> Tensor:
    """Say how large they are, where tensors have no content (`bench.cost`)."""
    return labels.new_empty(len(labels), BINS, *labels.shape[1:], dtype=torch.float32)


def _describe(label: np.ndarray, smallest: int, largest: float) -> np.ndarray:
    made = np.zeros((BINS, *label.shape), np.float32)
    for class_id in np.unique(label):
        regions, count = ndimage.label(label == class_id)  # pyright: ignore[reportGeneralTypeIssues]  # a pair, its stub says less
        for number, box in enumerate(ndimage.find_objects(regions, count), start=1):
            inside = regions[box] == number
            if smallest <= inside.sum() <= largest * label.size:
                rows, columns = np.nonzero(inside)
                made[:, box[0].start + rows, box[1].start + columns] = _around(inside).T
    return made


def _around(inside: np.ndarray) -> np.ndarray:
    """Return the shares `[n, 72]` of the pixels of an object, a bool mask, in reading order."""
    pixels = np.argwhere(inside)
    core = np.asarray(ndimage.binary_erosion(inside), bool)
    outline = np.argwhere(inside & ~core)
    if len(outline) > OUTLINE:
        outline = outline[np.linspace(0, len(outline) - 1, OUTLINE).round().astype(int)]
    down, right = np.moveaxis(pixels[:, None] - outline[None], 2, 0)
    distance = np.hypot(down, right)
    half = max(distance.max() / 2, 1e-6)
    # the innermost ring has number 5: all six radii reach it
    ring = (distance[..., None] / half - 1e-9 <= RADII).sum(2).clip(1) - 1
    angle = np.arctan2(down, -right) % (2 * np.pi)
    sector = np.minimum((angle * SECTORS / (2 * np.pi)).astype(int), SECTORS - 1)
    place = np.arange(len(pixels))[:, None] * BINS + ring * SECTORS + sector
    counts = np.bincount(place.ravel(), minlength=len(pixels) * BINS)
    return (counts.reshape(-1, BINS) / len(outline)).astype(np.float32)
