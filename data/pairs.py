"""A pair: an image, its label map, its palette, and where it came from."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.classes import IGNORE


@dataclass(frozen=True)
class Pair:
    """An image with its label map.

    `image` is uint8 `[H, W, 3]`, `label` uint8 `[H, W]` of class ids. `source` is `real` or the
    name of a recipe. `target` is the palette that the layout generator was asked for, `parent`
    the id of the real pair that this one descends from, `edited` the pixels whose label was made
    anew, `seed` the number that the pair is a pure function of.
    """

    id: str
    image: np.ndarray
    label: np.ndarray
    source: str
    target: np.ndarray | None = None
    parent: str | None = None
    edited: np.ndarray | None = None
    seed: int | None = None


def palette_of(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the share of each class in label maps `[..., H, W]`, float32 `[..., C]`.

    `IGNORE` pixels are left out, so shares sum to 1 (to 0 when every pixel is ignored).
    """
    flat = label.reshape(-1, label.shape[-2] * label.shape[-1])
    counts = np.stack([np.bincount(row, minlength=IGNORE + 1)[:num_classes] for row in flat])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares.astype(np.float32).reshape(*label.shape[:-2], num_classes)


def encode_png(array: np.ndarray) -> bytes:
    """Encode a uint8 image `[H, W, 3]`, a label map `[H, W]` or a bool mask as PNG."""
    buffer = io.BytesIO()
    array = array.astype(np.uint8) * 255 if array.dtype == bool else array
    # level 1 is 4 times faster than the default and costs a tenth in size on photographs
    Image.fromarray(array).save(buffer, "PNG", compress_level=1 if array.ndim == 3 else 6)
    return buffer.getvalue()


def decode_image(content: bytes) -> np.ndarray:
    """Decode an encoded image to uint8 `[H, W, 3]`."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def decode_label(content: bytes) -> np.ndarray:
    """Decode an encoded label map to uint8 `[H, W]`."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def content_hash(image: bytes, label: bytes) -> str:
    """Return the sha256 of image bytes followed by label bytes."""
    return hashlib.sha256(image + label).hexdigest()
