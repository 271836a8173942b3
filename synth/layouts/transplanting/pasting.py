"""Put an object into an image: resized, lit like its surroundings, with a soft edge."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from synth.layouts.transplanting.bank import Bank
from synth.layouts.transplanting.cutting import light_around
from synth.layouts.transplanting.placing import Place

Size = tuple[int, int]

DARKEST, LIGHTEST = 0.5, 2.0  # what the surroundings may make of the light of an object
OWN = 128  # alpha of a pixel that is mostly the object's, of 255
SEEN = 0.5  # of what an object covers, pixels that are mostly its own: thin poles have fewer


@dataclass(frozen=True)
class Canvas:
    """A pair that objects are put into: `image` uint8 `[H, W, 3]`, `label` uint8 `[H, W]`.

    `alpha` float32 `[H, W]` is how far each pixel is an object's, 0 to 1.
    """

    image: np.ndarray
    label: np.ndarray
    alpha: np.ndarray


def paste(
    canvas: Canvas, bank: Bank, where: Place, *, mirrored: bool, brightness: float, smallest: int
) -> bool:
    """Put an object at its place; says no, and changes nothing, where too little would be seen.

    `brightness` is how far its light follows that of its surroundings, 0 to 1. At least `smallest`
    pixels must be mostly its own. The edge is as soft as the resizing filter makes it, about a
    pixel.
    """
    height, width = canvas.label.shape
    down, across = where.scale * height / bank.size[0], where.scale * width / bank.size[1]
    patch = _colours(bank, where.object, (down, across))
    # the margin of what was cut out lies around its place
    top = where.bottom + round(down) - len(patch)
    left = where.left - round(across)
    rows, columns = _inside(top, len(patch), height), _inside(left, patch.shape[1], width)
    seen = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    size = patch.shape[0], patch.shape[1]
    patch = (patch[:, ::-1] if mirrored else patch)[seen]
    own = patch[..., 3] >= OWN
    if own.sum() < max(smallest, SEEN * int(patch[..., 3].sum()) / 255):
        return False
    light = light_around(canvas.image, (where.top, where.left, where.bottom, where.right))
    gain = ((light + 1) / (float(bank.light[where.object]) + 1)) ** brightness
    alpha = patch[..., 3].astype(np.float32) / 255
    image, label, covered = (
        part[rows, columns] for part in (canvas.image, canvas.label, canvas.alpha)
    )
    image[...] = _laid(image, patch[..., :3], alpha[..., None], min(max(gain, DARKEST), LIGHTEST))
    covered[...] = 1 - (1 - covered) * (1 - alpha)
    label[own] = bank.kind[where.object]
    if bank.mixed[where.object]:
        inside = _labels(bank, where.object, size)
        label[own] = (inside[:, ::-1] if mirrored else inside)[seen][own]
    return True


def _laid(behind: np.ndarray, colours: np.ndarray, alpha: np.ndarray, gain: float) -> np.ndarray:
    """Lay colours times alpha, made lighter by `gain`, over an image; all uint8 but alpha."""
    lit = np.minimum(colours * np.float32(gain), 255 * alpha)
    return (behind * (1 - alpha) + lit + np.float32(0.5)).astype(np.uint8)


def _colours(bank: Bank, index: int, stretch: tuple[float, float]) -> np.ndarray:
    """Return colours times alpha and alpha of an object with its margins, uint8 `[h, w, 4]`."""
    height, width = int(bank.height[index]), int(bank.width[index])
    pixels = bank.pixels[bank.part(index)]
    # RGBX: Pillow would divide RGBA by its alpha and multiply again
    image = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    size = max(1, round(width * stretch[1])), max(1, round(height * stretch[0]))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def _labels(bank: Bank, index: int, size: Size) -> np.ndarray:
    """Return the labels of an object with its margins, uint8 `[*size]`."""
    shape = int(bank.height[index]), int(bank.width[index])
    image = Image.fromarray(bank.labels[bank.part(index)].reshape(shape))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.NEAREST))


def _inside(start: int, length: int, limit: int) -> slice:
    return slice(max(0, start), max(0, min(limit, start + length)))
