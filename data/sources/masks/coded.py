"""What a pixel of a mask is and shows: a bit, a grey number, an index or a colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from data.sources.decode import DEEP, GREY16, decode_label, read_size, window_rows
from data.sources.files import distinct
from data.sources.reading import windows
from data.sources.reading.how import How, how, reading
from data.sources.reading.pixels import pack_colors, rgb

ONE_BIT, GREY, WIDE, INDEXED, COLORED = "one bit", "grey", "16 bits", "a palette", "colours"
BLACK, WHITE, GREYS = 0, 0xFFFFFF, 0x010101
FULL, STEP16 = 255, 257  # 65535 = 255 * 257: white in 8 and in 16 bits
VOC_BITS = 8


@dataclass(frozen=True)
class Coded:
    """A decoded mask: its numbers, integers [H, W], and the packed colour that each of them shows.

    Small numbers of 16 or 32 bits count as the same numbers of 8 bits do, unless all of them are
    8-bit ones stretched. `shades` is None where the numbers are packed colours themselves.
    `palette` is all of an indexed file's. Of a window, `whole` are the counts of the whole file:
    what a number means may depend on what others there are.
    """

    kind: str
    values: np.ndarray
    shades: Mapping[int, int] | None
    mode: str = ""
    palette: bytes = b""
    whole: Mapping[int, int] | None = None

    @cached_property
    def counts(self) -> Mapping[int, int]:
        """Return the distinct numbers, ascending, and how many pixels have each."""
        if self.whole is not None:
            return self.whole
        found, counts = distinct(self.values)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))

    def looks(self) -> Mapping[int, int]:
        """Return number -> packed colour, where a number shows one."""
        if self.shades is None:
            return {value: value for value in self.counts}
        if self.kind == WIDE and is_scaled(self.counts):
            return {value: value // STEP16 * GREYS for value in self.counts}
        return {value: self.shades[value] for value in self.counts if value in self.shades}


def read_coded(path: Path) -> Coded:
    """Decode a mask file or its window; raises `UserError` as `decode.decode_label` does."""
    coded = decode_label(path, _coded)
    if how().window is None:
        return coded
    about = path.stat()
    is_colored, counts = _census(
        path, replace(how(), window=None), about.st_mtime_ns, about.st_size
    )
    return replace(_colored(coded) if is_colored else coded, whole=counts)


@lru_cache(maxsize=8)
def _census(path: Path, way: How, changed: int, size: int) -> tuple[bool, dict[int, int]]:
    """Say whether a file shows colours, and count its numbers, band by band.

    `changed` and `size` tell a file from one that had its name before.
    """
    with reading(way):
        boxes = windows.bands(read_size(path), window_rows(path) or 1)
    is_colored, total = False, dict[int, int]()
    for _ in range(2):  # once more where a band shows colours: grey ones before it are such too
        total.clear()
        for box in boxes:
            with reading(replace(way, window=box)):
                coded = decode_label(path, _coded)
            if coded.kind == COLORED and not is_colored:
                is_colored = True
                break
            for value, count in (_colored(coded) if is_colored else coded).counts.items():
                total[value] = total.get(value, 0) + count
        else:
            break
    return is_colored, dict(sorted(total.items()))


def _colored(coded: Coded) -> Coded:
    """Return a mask of colours as such, where it is a grey window of one."""
    if coded.kind == COLORED:
        return coded
    return Coded(COLORED, coded.values.astype(np.int32) * GREYS, None, coded.mode)


def read_shape(path: Path) -> np.ndarray:
    """Decode a mask of one thing, bool [H, W]: whatever is not black on a screen."""
    coded = read_coded(path)
    if coded.kind == WIDE or coded.shades is None:
        return coded.values != 0
    return ~np.isin(coded.values, [v for v, shade in coded.looks().items() if shade == BLACK])


def is_scaled(values: Mapping[int, int] | Sequence[int]) -> bool:
    """Say whether 16-bit numbers are 8-bit ones that were stretched to the full range."""
    return max(values) > 0 and all(v >= 0 and v % STEP16 == 0 for v in values)


def voc_color(index: int) -> int:
    """Return the packed colour of an index in the palette of Pascal VOC, which many tools write."""
    channels = [0, 0, 0]
    for bit in range(VOC_BITS - 1, -1, -1):
        for channel in range(3):
            channels[channel] |= (index >> channel & 1) << bit
        index >>= 3
    return (channels[0] << 16) | (channels[1] << 8) | channels[2]


def is_neutral(looks: Mapping[int, int]) -> bool:
    """Say whether a palette shows indices as greys of their number, or as Pascal VOC does."""
    return any(
        all(shade == color(v) for v, shade in looks.items())
        for color in (lambda v: v * GREYS, voc_color)
    )


def _coded(file: Image.Image) -> Coded:
    if file.mode == "1":
        return Coded(ONE_BIT, np.asarray(file).astype(np.uint8), {0: BLACK, 1: WHITE}, "1")
    if file.mode == "P":
        palette = file.getpalette("RGB") or []
        table = pack_colors(np.array(palette, np.uint8).reshape(-1, 1, 3)).ravel().tolist()
        shades = dict.fromkeys(range(256), BLACK) | dict(enumerate(table))
        return Coded(INDEXED, np.asarray(file), shades, "P", bytes(palette))
    greys = {value: value * GREYS for value in range(256)}
    if file.mode in (*GREY16, *DEEP):
        return Coded(WIDE, np.asarray(file).astype(np.int32), greys, file.mode)
    if file.mode == "L":
        return Coded(GREY, np.asarray(file), greys, "L")
    colors = rgb(file)
    if not (colors != colors[..., :1]).any():
        return Coded(GREY, colors[..., 0], greys, "RGB")
    return Coded(COLORED, pack_colors(colors), None, "RGB")
