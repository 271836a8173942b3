"""Read a window of a TIFF without decoding the rest, so that memory does not grow with the picture.

Tiles or strips of lossless TIFFs are decoded one by one by tifffile; others are read whole.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from PIL.ImageFile import ImageFile

from data.sources.reading.how import Box

ROWS = 256  # of a band that is read by itself, or a few more: whole segments of the file
MAX_SEGMENT = 2**24  # pixels of a tile or strip: it is decoded whole
# Modes of Pillow and what they hold; tifffile gives the same values for them. Not pictures with
# alpha: what it says is known of whole pictures alone.
KINDS = {"L": np.uint8, "RGB": np.uint8, "P": np.uint8, "I;16": np.uint16, "I;16B": np.uint16}
PHOTOMETRIC = {"L": 1, "RGB": 2, "P": 3, "I;16": 1, "I;16B": 1}
NONE, LZW, DEFLATE, PACKBITS = 1, 5, (8, 32946), 32773
LOSSLESS = (NONE, LZW, *DEFLATE, PACKBITS)


def bands(size: tuple[int, int], segment: int) -> list[Box]:
    """Cut a picture of size (width, height) into bands, of whole segments of so many rows."""
    width, height = size
    rows = -(-ROWS // segment) * segment
    return [(0, top, width, min(height, top + rows)) for top in range(0, height, rows)]


def segment_rows(file: ImageFile, path: Path, page: int) -> int | None:
    """Return the rows of a tile or strip of an open file, None where windows cannot be read.

    A file that is not packed has rows of one pixel's height, as any of them is read by itself.
    """
    if file.format != "TIFF" or file.mode not in KINDS:
        return None
    try:
        with tifffile.TiffFile(path) as tiff:
            found = tiff.pages[page]
            assert isinstance(found, tifffile.TiffPage)
            if not _is_read_here(found, file.mode):
                return None
            if found.is_memmappable:
                return 1
            # decodes the first that is stored: some codecs are another package (extra `tiff`)
            next(_segments(tiff, found, (0, 0, found.imagewidth, found.imagelength)), None)
            return found.chunks[0]
    except Exception:  # a parser of hostile bytes: the whole picture says what is wrong with it
        return None


def read_window(file: ImageFile, path: Path, page: int, box: Box) -> Image.Image:
    """Return the part of an open file in a box (left, top, right, bottom), in the file's mode."""
    left, top, right, bottom = box
    with tifffile.TiffFile(path) as tiff:
        found = tiff.pages[page]
        assert isinstance(found, tifffile.TiffPage)
        if found.is_memmappable:
            mapped = found.asarray(out="memmap")
            values = np.array(mapped[top:bottom, left:right], KINDS[file.mode])
            del mapped
        else:
            shape = (bottom - top, right - left, *found.shape[2:])
            values = np.zeros(shape, KINDS[file.mode])  # a segment that is not stored is 0
            for y, x, part in _segments(tiff, found, box):
                height, width = part.shape[:2]
                first, last = max(y, top), min(y + height, bottom)
                begin, end = max(x, left), min(x + width, right)
                inside = part[first - y : last - y, begin - x : end - x]
                values[first - top : last - top, begin - left : end - left] = inside
    picture = Image.fromarray(values)
    if file.mode == "P":
        picture.putpalette(file.getpalette("RGB") or [], "RGB")
    return picture


def _is_read_here(page: tifffile.TiffPage, mode: str) -> bool:
    kind = np.dtype(KINDS[mode])
    planes = 3 if mode == "RGB" else 1
    return (
        page.dtype is not None
        and page.dtype.newbyteorder("=") == kind
        and page.photometric == PHOTOMETRIC[mode]
        and page.samplesperpixel == planes
        and page.planarconfig == 1
        and page.fillorder == 1
        and page.compression in LOSSLESS
        and page.chunks[0] * page.chunks[1] <= (2**62 if page.is_memmappable else MAX_SEGMENT)
    )


def _segments(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage, box: Box
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield row, column and values [h, w(, 3)] of the segments that a box touches."""
    left, top, right, bottom = box
    (height, width), across = page.chunks[:2], page.chunked[1]
    for row in range(top // height, -(-bottom // height)):
        for column in range(left // width, -(-right // width)):
            index = row * across + column
            size, packed = page.databytecounts[index], None
            if size:  # none where a segment is not stored
                tiff.filehandle.seek(page.dataoffsets[index])
                packed = tiff.filehandle.read(size)
            part, _, shape = page.decode(packed, index)
            if part is not None:
                values = part[0, : shape[1], : shape[2]]
                yield row * height, column * width, values[..., 0] if page.ndim == 2 else values
