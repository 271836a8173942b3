"""Panels of a demo, drawn with Pillow: pictures with titles, bars of shares, maps, animations."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.pairs.classes import ClassTable
from data.tools.sheets import GAP, INK, PAPER, TEXT, contact_sheet

CELL_WIDTH = 256
NUM_BARS = 11
NAME, NUMBER, BAR, SPACE = 82, 34, 6, 5  # pixels: columns, height of a bar, gap between classes
GREY, PALE = (150, 150, 150), 0.55
COLD, WARM = np.array([225, 225, 225]), np.array([220, 90, 0])
CHECK, DARK, LIGHT = 4, 110, 170  # checkerboard: side in pixels, two greys
MILLISECONDS, HOLD = 125, 6  # 8 frames a second; the ends stay six times as long


@dataclass(frozen=True)
class Shown:
    """What a demo made: a strip, the frames of an animation, and numbers for JSON."""

    strip: Image.Image
    frames: list[Image.Image]
    numbers: dict[str, Any]
    said: str  # one line for the log


@dataclass(frozen=True)
class Bars:
    """Shares of one group: a name and colour, and one share (0 to 1) for each series."""

    name: str
    color: tuple[int, int, int]
    shares: tuple[float, ...]


def largest(shares: np.ndarray, count: int = NUM_BARS) -> list[int]:
    """Return up to `count` ids by the largest of each class' numbers `[n, C]`, those above 0."""
    most = shares.max(0)
    return [int(index) for index in np.argsort(-most, kind="stable")[:count] if most[index] > 0]


def bars_of(classes: ClassTable, shown: Sequence[int], series: Sequence[np.ndarray]) -> list[Bars]:
    """Return the bars of series `[C]` each: the classes `shown`, then all others together."""
    bars = [
        Bars(classes.names[i], classes.classes[i].color, tuple(float(s[i]) for s in series))
        for i in shown
    ]
    others = [index for index in range(classes.num_classes) if index not in shown]
    rest = tuple(float(s[others].sum()) for s in series)
    return [*bars, Bars("others", PAPER, rest)] if max(rest, default=0) > 0 else bars


def draw_bars(
    bars: Sequence[Bars], series: Sequence[str], longest: float, width: int = CELL_WIDTH
) -> np.ndarray:
    """Draw bars with names and numbers in percent, uint8 `[h, width, 3]`.

    `longest` is the share of a full bar.
    A class has one bar for each series, from top to bottom as the columns of numbers from left to
    right: the first grey, the second in the class colour, others pale.
    """
    font = ImageFont.load_default(TEXT - 2)
    row = max(BAR * len(series), TEXT) + SPACE
    picture = Image.new("RGB", (width, TEXT + SPACE + row * len(bars)), PAPER)
    pen = ImageDraw.Draw(picture)
    numbers = width - NUMBER * len(series)
    room = numbers - NAME - SPACE
    for column, name in enumerate(series):
        pen.text((numbers + NUMBER * (column + 1) - 2, 0), name, INK, font, anchor="ra")
    for number, bar in enumerate(bars):
        top = TEXT + SPACE + number * row
        middle = top + (row - SPACE) // 2
        pen.rectangle((0, middle - 4, 8, middle + 4), bar.color, INK)
        pen.text((13, middle), _fitting(bar.name, NAME - 15, font), INK, font, anchor="lm")
        for slot, share in enumerate(bar.shares):
            color = (GREY, bar.color, _pale(bar.color))[min(slot, 2)]
            length = round(room * min(share / longest, 1)) if longest > 0 else 0
            y = middle - BAR * len(series) // 2 + slot * BAR
            if length > 0:
                pen.rectangle((NAME, y, NAME + length, y + BAR - 2), color, INK)
            right = numbers + NUMBER * (slot + 1) - 2
            pen.text((right, middle), f"{100 * share:.1f}", INK, font, anchor="rm")
    return np.asarray(picture)


def heat(values: np.ndarray, top: float, size: tuple[int, int]) -> np.ndarray:
    """Show a map `[h, w]` at `size`, from grey (0) to orange (`top` and more)."""
    share = np.clip(values / top, 0, 1)[..., None]
    small = (COLD + share * (WARM - COLD)).round().astype(np.uint8)
    return small.repeat(size[0] // small.shape[0], 0).repeat(size[1] // small.shape[1], 1)


def checkered(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Show the pixels of a mask `[H, W]` as a checkerboard: unknown."""
    down, across = np.indices(mask.shape) // CHECK
    board = np.where((down + across) % 2, LIGHT, DARK).astype(np.uint8)
    return np.where(mask[..., None], board[..., None], picture)


def faded(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Show the pixels outside a mask `[H, W]` pale and grey, so that those inside stand out."""
    grey = 200 + picture.mean(2, keepdims=True) * 0.2
    return np.where(mask[..., None], picture, grey.round().astype(np.uint8).repeat(3, 2))


def cell(picture: np.ndarray, title: str, width: int = CELL_WIDTH) -> np.ndarray:
    """Enlarge a picture `[H, W, 3]` by a whole factor towards `width`, put a title above it."""
    scale = max(1, round(width / picture.shape[1]))
    return titled(picture.repeat(scale, 0).repeat(scale, 1), title)


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """Put a title above a picture `[H, W, 3]`; it is cut where the picture ends."""
    font = ImageFont.load_default(TEXT)
    sheet = Image.new("RGB", (picture.shape[1], picture.shape[0] + TEXT + GAP), PAPER)
    text = _fitting(title, sheet.width, font)
    ImageDraw.Draw(sheet).text((0, TEXT), text, INK, font, anchor="ls")
    sheet.paste(Image.fromarray(picture), (0, TEXT + GAP))
    return np.asarray(sheet)


def page(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str] = ()) -> Image.Image:
    """Put rows of cells `[H, W, 3]` on one sheet, each row under its caption."""
    return contact_sheet(rows, captions or [""] * len(rows))


def columns(shown: int, count: int) -> list[int]:
    """Return which of `count` frames a strip of `shown` columns has, first and last among them."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(shown, count)).round()})


def png(picture: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def gif(frames: Sequence[Image.Image]) -> bytes:
    """Encode frames as an endless GIF that goes there and back."""
    turning = [*frames, *frames[-2:0:-1]]
    durations = [MILLISECONDS] * len(turning)
    durations[0] = durations[len(frames) - 1] = HOLD * MILLISECONDS
    # dithering would sparkle from frame to frame
    small = [frame.quantize(256, dither=Image.Dither.NONE) for frame in turning]
    buffer = io.BytesIO()
    small[0].save(buffer, "GIF", save_all=True, append_images=small[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _pale(color: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(c + PALE * (255 - c)) for c in color)
    return red, green, blue


def _fitting(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
