"""How a picture lies: its EXIF orientation, and turning it upright."""

import struct
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

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


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Return values [H, W] of pixels as stored as they lie upright, by an EXIF orientation."""
    if orientation == 1:
        return values
    return np.asarray(Image.fromarray(values).transpose(_TURNS[orientation]))


def orientation_of(file: Image.Image) -> int:
    """Return the EXIF orientation of an open picture, 1 for none."""
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


def upright(file: Image.Image) -> Image.Image:
    """Return a picture as it lies upright."""
    turned = orientation_of(file)
    return file if turned == 1 else file.transpose(_TURNS[turned])
