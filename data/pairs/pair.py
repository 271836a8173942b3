"""A pair: an image, its label map, its palette, and where it came from."""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.pairs.classes import IGNORE
from data.stage.errors import UserError

# What Pillow raises for content that is not an image, besides its own errors.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class Pair:
    """An image with its label map.

    `image` is uint8 `[H, W, 3]`, `label` uint8 `[H, W]` of class ids. `source` is `real` or the
    name of a set. `target` is the palette that the layout generator was asked for, `group` the
    video, city or scene of a real pair, where the dataset knows one. `parent` is the id of the real
    pair whose layout this one starts from, `style` of the one whose look was painted, `donors` are
    those that objects or bands were taken from. `edited` are the pixels of what was edited: outside
    them the label is the parent's. `seed` is the number that the pair is a pure function of.
    """

    id: str
    image: np.ndarray
    label: np.ndarray
    source: str
    target: np.ndarray | None = None
    parent: str | None = None
    edited: np.ndarray | None = None
    seed: int | None = None
    group: str | None = None
    style: str | None = None
    donors: tuple[str, ...] | None = None


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


def decode_image(content: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a PNG, JPEG or WebP image of 3 channels to uint8 `[H, W, 3]`.

    With `size` (height, width) given, one whose header says another is refused before anything is
    decoded: a small file may claim a large memory. Raises `UserError` with what is wrong.
    """
    return _decode(content, size, ("PNG", "JPEG", "WEBP"), "RGB")


def decode_label(content: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a label map or a mask, an 8-bit grey PNG, to uint8 `[H, W]`; see `decode_image`."""
    return _decode(content, size, ("PNG",), "L")


def content_hash(image: bytes, label: bytes) -> str:
    """Return the sha256 of image bytes followed by label bytes."""
    return hashlib.sha256(image + label).hexdigest()


def _decode(
    content: bytes, size: tuple[int, int] | None, formats: tuple[str, ...], mode: str
) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(content), formats=formats)
        with opened as image:
            if size is not None and image.size != size[::-1]:
                raise UserError(
                    f"is {image.width}x{image.height} pixels, the set {size[1]}x{size[0]}"
                )
            if image.mode != mode:
                raise UserError(f"has the mode {image.mode}, it must be {mode}")
            return np.asarray(image)
    except UserError:
        raise
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"is not an intact {' or '.join(formats)} ({reason})") from None
