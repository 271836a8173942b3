"""Arithmetic on the pixels of whole pictures, in bands that keep memory small."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

BAND_PIXELS = 2**20


def rgb(file: Image.Image) -> np.ndarray:
    """Return the pixels of a decoded picture as uint8 [H, W, 3]."""
    return np.asarray(file if file.mode == "RGB" else file.convert("RGB"))


def pack_colors(colors: np.ndarray) -> np.ndarray:
    """Return one number for each colour: uint8 [H, W, 3] becomes int32 [H, W] of 24 bits."""
    packed = colors[..., 0].astype(np.int32)
    for channel in (1, 2):
        packed <<= 8
        packed |= colors[..., channel]
    return packed


def bands(values: np.ndarray) -> Iterator[slice]:
    """Yield bands of rows of `[H, W]`: numpy counts in 64 bits, a lot for a whole picture."""
    height = max(1, BAND_PIXELS // max(1, values.shape[1]))
    for top in range(0, values.shape[0], height):
        yield slice(top, top + height)


def stretched(values: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """Return values [H, W] as uint8: the low level is 0, the high one 255; NaN is 0."""
    low, high = levels
    out = np.empty(values.shape, np.uint8)
    for rows in bands(values):
        part = (np.nan_to_num(values[rows].astype(np.float64), nan=low) - low) / (high - low)
        out[rows] = np.rint(part.clip(0, 1) * 255).astype(np.uint8)
    return out
