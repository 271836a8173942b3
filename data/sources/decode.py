"""Decode image and label files exactly, or say which file is at fault and what to do about it."""

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from data.sources.reading.alpha import Alpha, Transparency, flatten, transparency
from data.stage.errors import UserError

T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WebP")
LOSSY = ("JPEG", "MPO", "WEBP")
MAX_PIXELS = 9000 * 6000  # decoded, turned and converted it stays below 1 GiB
MAX_BYTES = 512 << 20
BAND_PIXELS = 2**20
GREY16 = ("I;16", "I;16B", "I;16L", "I;16N")
DEEP = ("I", "F")
SINGLE = (*GREY16, "I")  # "I": signed 16 bits, and 32 bits
CONVERTIBLE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
MASK_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")

# What to do to a picture of each EXIF orientation so that it lies as it was seen.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path, alpha: Alpha = "ignore") -> Image.Image:
    """Decode an image file to 8-bit RGB, upright by its EXIF orientation.

    16-bit grey levels are divided by 257, so that the full range stays the full range; `alpha`
    says what becomes of transparency.
    """
    return _decode(path, lambda file: _to_rgb(_upright(file), path, alpha))


def read_alpha(path: Path) -> Transparency | None:
    """Return what the alpha channel of an image file says, None where all is opaque."""
    with _opened(path) as file:
        if not file.has_transparency_data:
            return None
    return _decode(path, transparency)


def read_values(path: Path) -> np.ndarray:
    """Decode a label file to its raw values, int32 [H, W]; palette images give their indices."""

    def convert(file: Image.Image) -> np.ndarray:
        values = np.asarray(file)
        if values.ndim == 3:
            color = values.shape[2] >= 3
            if color and any((values[..., k] != values[..., 0]).any() for k in (1, 2)):
                raise UserError(
                    f"{path} is a colour image, but labels are single-channel class ids here; "
                    "use the id files, or the source `folder` with RGB values"
                )
            values = values[..., 0]
        return values.astype(np.int32)

    return decode_label(path, convert)


def decode_label(path: Path, convert: Callable[[Image.Image], T]) -> T:
    """Decode a label file, upright, and return what `convert` makes of the picture.

    Raises `UserError` when the format may have changed values (JPEG, WebP), when a channel has 16
    bits in a colour image (the decoder would drop 8 of them), when its colours are not RGB, or when
    transparency carries meaning.
    """

    def check(file: ImageFile) -> None:
        packed = str(file.info.get("compression", ""))
        if file.format in LOSSY or "jpeg" in packed or packed == "webp":
            raise UserError(
                f"{path} is stored as {file.format}, which may change values near edges; masks "
                "must be lossless: export them again from where they were drawn, as PNG"
            )
        if file.mode == "F" or (file.mode not in SINGLE and ";16" in str(file.tile)):
            raise UserError(
                f"{path} has {_depth(file)}; masks hold 8-bit values or colours, or 16-bit ids (32 "
                "in TIFF) in one channel: save it as such a PNG"
            )
        if file.mode not in (*MASK_MODES, *SINGLE):
            raise UserError(
                f"{path} has colours of mode {file.mode}, made for print or video; save the mask "
                "as PNG with class ids, a colour table or RGB values"
            )

    return _decode(path, lambda file: convert(_without_alpha(_upright(file), path)), check)


def read_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of an image file, upright by its EXIF orientation.

    Only the header is read, as by `read_orientation`.
    """
    with _opened(path) as file:
        width, height = file.size
        return (height, width) if _orientation(file) >= 5 else (width, height)


def read_mode(path: Path) -> str:
    """Return the mode of an image file in Pillow's words, such as L or P, from its header."""
    with _opened(path) as file:
        return file.mode


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Return values [H, W] of pixels as stored as they lie upright, by an EXIF orientation."""
    if orientation == 1:
        return values
    return np.asarray(Image.fromarray(values).transpose(_TURNS[orientation]))


def read_orientation(path: Path) -> int:
    """Return the EXIF orientation of an image file: 1 is upright, 5 to 8 lie on their side."""
    with _opened(path) as file:
        return _orientation(file)


def _decode(
    path: Path,
    convert: Callable[[Image.Image], T],
    check: Callable[[ImageFile], None] = lambda file: None,
) -> T:
    """Decode a file and convert it; `check` sees it before, with its header only."""
    with _opened(path) as file:
        check(file)
        if file.format == "PNG":
            # Pillow does not compare the checksums of pixel data unless it is asked to.
            with Image.open(path, formats=["PNG"]) as copy:
                copy.verify()
        file.load()
        return convert(file)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open an image file of an accepted format and size; every fault of it is a `UserError`."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is not a regular file; replace or remove it")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(
                f"{path} has more than {MAX_BYTES >> 20} MiB; scale it down or cut it up"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata; what matters is an error below
            with Image.open(path, formats=FORMATS) as file:
                _check_header(file, path)
                yield file
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(_too_large(path)) from None
    except UnidentifiedImageError:
        raise UserError(
            f"{path} is not readable as {', '.join(FORMATS)}; convert it to PNG, or replace or "
            "remove it"
        ) from None
    except Exception as error:  # a parser of hostile bytes raises whatever its arithmetic raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} is not readable ({reason}); replace or remove it") from None


def _check_header(file: ImageFile, path: Path) -> None:
    tile = [getattr(file, "tag_v2", {}).get(tag, 0) for tag in (322, 323)]
    if max(file.width * file.height, int(tile[0]) * int(tile[1])) > MAX_PIXELS:
        raise UserError(_too_large(path))
    # An MPO is what many phones call .jpg: the photograph first, then a depth map or small copy.
    if file.format != "MPO" and _has_frames(file):
        raise UserError(
            f"{path} has several frames or pages; a pair has one picture: save the one you mean "
            "as PNG"
        )
    # Pillow 12 reads a TIFF that is not compressed with its sides exchanged.
    if file.format == "TIFF" and _orientation(file) >= 5:
        raise UserError(
            f"{path} is a TIFF that lies on its side (its orientation tag is "
            f"{_orientation(file)}); save it upright, as PNG"
        )


def _has_frames(file: ImageFile) -> bool:
    if file.format != "TIFF":
        return getattr(file, "n_frames", 1) > 1
    try:
        file.seek(1)  # counting the pages of a hostile TIFF takes minutes
    except EOFError:
        return False
    return True


def _too_large(path: Path) -> str:
    return (
        f"{path} has more than {MAX_PIXELS:,} pixels, the limit (9000x6000); scale it down or cut "
        "it into pieces"
    )


def _orientation(file: Image.Image) -> int:
    png = file if isinstance(file, ImageFile) and file.format == "PNG" and file.tile else None
    if png is not None and not _has_late_text(Path(str(png.filename))):
        exif = Image.Image.getexif(file)  # a PNG's own method decodes all pixels first
    else:
        exif = file.getexif()
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if value in _TURNS else 1


def _has_late_text(path: Path) -> bool:
    """Return whether a PNG has metadata behind its pixels, where its header does not show it."""
    behind = False
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if behind and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
                return True
            behind |= kind == b"IDAT"
            file.seek(length + 4, 1)
    return False


def _upright(file: Image.Image) -> Image.Image:
    turned = _orientation(file)
    return file if turned == 1 else file.transpose(_TURNS[turned])


def _depth(file: Image.Image) -> str:
    return "32-bit pixels" if file.mode in DEEP else "16 bits in each of several channels"


def _to_rgb(file: Image.Image, path: Path, alpha: Alpha) -> Image.Image:
    if file.mode in GREY16:
        # 65535 = 255 * 257; the usual conversion clips everything above 255 instead.
        levels = (np.asarray(file) // 257).astype(np.uint8)
        return Image.fromarray(levels).convert("RGB")
    if file.mode in DEEP or file.mode not in CONVERTIBLE:
        what = _depth(file) if file.mode in DEEP else f"colours of mode {file.mode}"
        raise UserError(f"{path} has {what}; save it as 8-bit RGB or grey, or 16-bit grey")
    if not file.has_transparency_data:
        return file.convert("RGB")
    return flatten(file, alpha)


def _without_alpha(file: Image.Image, path: Path) -> Image.Image:
    """Drop the alpha channel of a mask, unless a value is both shown and hidden by it."""
    if file.mode not in ("LA", "RGBA"):
        return file
    alpha = np.asarray(file.getchannel("A"))
    plain = file.convert(file.mode.removesuffix("A"))
    if not alpha.all():
        hidden, shown = set(), set()
        for rows in bands(alpha):
            band = plain.crop((0, rows.start, plain.width, min(rows.stop, plain.height)))
            values, clear = pack_colors(rgb(band)), alpha[rows] == 0
            hidden.update(np.unique(values[clear]).tolist())
            shown.update(np.unique(values[~clear]).tolist())
        if hidden & shown:
            raise UserError(
                f"{path} tells things apart by transparency alone: the same value is transparent "
                "here and opaque there; save the mask without an alpha channel"
            )
    return plain


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
