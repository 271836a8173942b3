"""Pictures between the studio and a browser."""

import base64
import io
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from data.pairs.pair import UNREADABLE, encode_png
from data.sources.decode import DEEP, GREY16
from data.stage.errors import UserError

MOST_BYTES, MOST_PIXELS = 32 * 2**20, 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MILLISECONDS, HOLD = 140, 5  # of a frame; the ends stay so many times as long
COLD, WARM = np.array([40, 40, 52]), np.array([255, 214, 102])


def url(array: np.ndarray) -> str:
    """Return an image uint8 `[H, W, 3]` or a mask as a link that holds it."""
    return "data:image/png;base64," + base64.b64encode(encode_png(array)).decode()


def heat(values: np.ndarray) -> np.ndarray:
    """Show numbers `[H, W]` in [0, 1] from dark to bright, uint8 `[H, W, 3]`."""
    return (COLD + values[..., None] * (WARM - COLD)).round().astype(np.uint8)


def animation(frames: Sequence[np.ndarray]) -> str:
    """Return frames uint8 `[H, W, 3]` as a link that holds a GIF, there and back."""
    turning = [*frames, *frames[-2:0:-1]]
    durations = [MILLISECONDS] * len(turning)
    durations[0] = durations[len(frames) - 1] = HOLD * MILLISECONDS
    small = [Image.fromarray(f).quantize(256, dither=Image.Dither.NONE) for f in turning]
    buffer = io.BytesIO()
    small[0].save(buffer, "GIF", save_all=True, append_images=small[1:], duration=durations, loop=0)
    return "data:image/gif;base64," + base64.b64encode(buffer.getvalue()).decode()


def decode(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """Decode a picture that somebody chose, cut to the shape of `size` (height, width) and resized.

    Raises `UserError` for files that are too long, claim too many pixels, or are no picture.
    """
    if len(content) > MOST_BYTES:
        raise UserError(f"the file has more than {MOST_BYTES >> 20} MB; choose a smaller picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise UserError(
                        f"the picture has {opened.width}x{opened.height} pixels, more than "
                        f"{MOST_PIXELS // 1_000_000} million; make it smaller"
                    )
                if opened.mode in DEEP:
                    raise UserError("the picture has 32-bit pixels; save it with 8 or 16")
                upright = ImageOps.exif_transpose(opened)
                if upright.mode in GREY16:  # the usual conversion clips what is above 255
                    upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
                upright = upright.convert("RGB")
        return np.asarray(ImageOps.fit(upright, (size[1], size[0]), Image.Resampling.BOX))
    except UserError:
        raise
    except UNREADABLE:
        raise UserError(f"this is no intact picture; choose a {', '.join(FORMATS)}") from None
