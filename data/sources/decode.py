"""Decode image and label files exactly, or say which file is at fault and what to do about it."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from data.sources.reading.alpha import Alpha, Transparency, flatten, transparency
from data.sources.reading.how import how, reading
from data.sources.reading.pixels import bands, pack_colors, rgb, stretched
from data.sources.reading.turning import orientation_of, upright
from data.sources.reading.windows import read_window, segment_rows
from data.stage.errors import UserError

T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WebP")
LOSSY = ("JPEG", "MPO", "WEBP")
MAX_PIXELS = 9000 * 6000  # decoded, turned and converted it stays below 1 GiB
MAX_BYTES = 512 << 20
MAX_PAGES = 10_000
LARGER = 8  # so many times more where pictures are cut into tiles, and decoded once for all
GREY16 = ("I;16", "I;16B", "I;16L", "I;16N")
DEEP = ("I", "F")
SINGLE = (*GREY16, "I")  # "I": signed 16 bits, and 32 bits
CONVERTIBLE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
MASK_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")


def read_image(path: Path, alpha: Alpha = "ignore") -> Image.Image:
    """Decode an image file to 8-bit RGB, upright by its EXIF orientation.

    16-bit grey levels are divided by 257, so that the full range stays the full range, unless
    `reading.how` has other levels; `alpha` says what becomes of transparency.
    """
    return _decode(path, lambda file: _to_rgb(upright(file), path, alpha))


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

    return _decode(path, lambda file: convert(_without_alpha(upright(file), path)), check)


def read_deep(path: Path) -> np.ndarray | None:
    """Decode the values [H, W] of an image of more than 8 bits, None for other images."""
    if read_mode(path) not in (*GREY16, *DEEP):
        return None
    return _decode(path, np.asarray)


def count_pages(path: Path) -> int:
    """Return how many pages a TIFF has, 1 for other files; at most `MAX_PAGES`."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 1
    with reading(replace(how(), page=0)), _opened(path) as file:
        for page in range(1, MAX_PAGES + 1):
            try:
                file.seek(page)
            except EOFError:
                return page
        raise UserError(f"{path} has more than {MAX_PAGES} pages; save it in parts")


def read_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of an image file, upright by its EXIF orientation.

    Only the header is read, as by `read_orientation`.
    """
    with _opened(path) as file:
        width, height = file.size
        return (height, width) if orientation_of(file) >= 5 else (width, height)


def window_rows(path: Path) -> int | None:
    """Return how many rows are decoded at once where `reading.how` asks for a window.

    None for a file that is decoded whole: all but upright, lossless TIFFs of small tiles or strips.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    with _opened(path) as file:
        if orientation_of(file) != 1:
            return None
        return segment_rows(file, path, how().page or 0)


def read_mode(path: Path) -> str:
    """Return the mode of an image file in Pillow's words, such as L or P, from its header."""
    with _opened(path) as file:
        return file.mode


def read_orientation(path: Path) -> int:
    """Return the EXIF orientation of an image file: 1 is upright, 5 to 8 lie on their side."""
    with _opened(path) as file:
        return orientation_of(file)


def _decode(
    path: Path,
    convert: Callable[[Image.Image], T],
    check: Callable[[ImageFile], None] = lambda file: None,
) -> T:
    """Decode a file or its window and convert it; `check` sees it before, with its header only."""
    with _opened(path) as file:
        check(file)
        window = how().window
        if window is not None:
            return convert(read_window(file, path, how().page or 0, window))
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
        most = MAX_BYTES * (LARGER if how().is_large else 1)
        if path.stat().st_size > most:
            raise UserError(f"{path} has more than {most >> 20} MiB; scale it down or cut it up")
        with warnings.catch_warnings(), _bounded():
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


@contextmanager
def _bounded() -> Iterator[None]:
    """Lift Pillow's own bound while pictures are read that are cut into tiles; ours stays."""
    bound = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS * LARGER if how().is_large else bound
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = bound


def _check_header(file: ImageFile, path: Path) -> None:
    page = how().page
    if page is not None and file.format == "TIFF":
        file.seek(page)
    tile = [getattr(file, "tag_v2", {}).get(tag, 0) for tag in (322, 323)]
    most = MAX_PIXELS * (LARGER if how().is_large else 1)
    if max(file.width * file.height, int(tile[0]) * int(tile[1])) > most:
        raise UserError(_too_large(path))
    # An MPO is what many phones call .jpg: the photograph first, then a depth map or small copy.
    if file.format != "MPO" and page is None and _has_frames(file):
        raise UserError(
            f"{path} has several frames or pages; a pair has one picture: save the one you mean "
            "as PNG"
        )
    # Pillow 12 reads a TIFF that is not compressed with its sides exchanged.
    if file.format == "TIFF" and orientation_of(file) >= 5:
        raise UserError(
            f"{path} is a TIFF that lies on its side (its orientation tag is "
            f"{orientation_of(file)}); save it upright, as PNG"
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
    if how().is_large:
        return f"{path} has more than {MAX_PIXELS * LARGER:,} pixels, the limit; cut it into pieces"
    return (
        f"{path} has more than {MAX_PIXELS:,} pixels, the limit (9000x6000); scale it down or cut "
        "it into pieces (dataset.tile does)"
    )


def _depth(file: Image.Image) -> str:
    return "32-bit pixels" if file.mode in DEEP else "16 bits in each of several channels"


def _to_rgb(file: Image.Image, path: Path, alpha: Alpha) -> Image.Image:
    levels = how().levels
    if levels is not None and file.mode in (*GREY16, *DEEP):
        return Image.fromarray(stretched(np.asarray(file), levels)).convert("RGB")
    if file.mode in GREY16:
        # 65535 = 255 * 257; the usual conversion clips everything above 255 instead.
        levels = (np.asarray(file) // 257).astype(np.uint8)
        return Image.fromarray(levels).convert("RGB")
    if file.mode in DEEP or file.mode not in CONVERTIBLE:
        what = _depth(file) if file.mode in DEEP else f"colours of mode {file.mode}"
        fix = ", or set dataset.levels" if file.mode in DEEP else ""
        raise UserError(f"{path} has {what}; save it as 8-bit RGB or grey, or 16-bit grey{fix}")
    if not file.has_transparency_data:
        # the conversion of what is RGB is a copy, which large pictures do without
        return file if how().is_large and file.mode == "RGB" else file.convert("RGB")
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
