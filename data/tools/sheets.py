"""Contact sheets: rows of small pictures with captions, drawn with Pillow alone."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
TEXT = 13
PAPER = (255, 255, 255)
INK = (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str], scale: int = 1
) -> Image.Image:
    """Return one picture of all rows.

    `rows` are lists of uint8 [H, W, 3]; a caption (may be empty) stands above each row; `scale`
    repeats every pixel that many times, so that small pictures stay crisp.
    """
    assert len(rows) == len(captions) and scale >= 1
    heights = [max((cell.shape[0] for cell in row), default=0) * scale for row in rows]
    widths = [sum(cell.shape[1] * scale + GAP for cell in row) for row in rows]
    font = ImageFont.load_default(TEXT)
    above = [TEXT + GAP if caption else 0 for caption in captions]
    text = max((round(font.getlength(caption)) for caption in captions), default=0) + GAP
    size = (max([text, *widths]) + GAP, sum(heights) + sum(above) + GAP * (len(rows) + 1))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    top = GAP
    for row, caption, height, space in zip(rows, captions, heights, above, strict=True):
        if caption:
            pen.text((GAP, top - 2), caption, INK, font)
        left = GAP
        for cell in row:
            picture = Image.fromarray(np.repeat(np.repeat(cell, scale, 0), scale, 1))
            sheet.paste(picture, (left, top + space))
            left += picture.width + GAP
        top += space + height + GAP
    return sheet
