"""Contact sheets of pairs: images beside their layouts, edits beside what they were made from."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.pairs.classes import ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet
from data.stage.outputs import write_bytes
from data.tools.sheets import GAP, INK, PAPER, contact_sheet
from evaluate.statistics import evenly

TEXT, FONT_SIZE, LEGEND_WIDTH = 20, 13, 150  # pixels
CELL_WIDTH = 256  # pixels aimed at; images are enlarged by a whole factor
EDGE = (255, 0, 200)  # of an edited band: a hue that neither streets nor class tables use

Row = list[np.ndarray]


def real_sheet(path: Path, pairs: PairSet, count: int) -> None:
    """Draw real pairs, two in a row."""
    found = list(pairs.pairs(evenly(pairs.select("real"), 2 * count)))
    flat = [cell for pair in found for cell in _image_and_layout(pair, pairs.classes)]
    rows = [flat[start : start + 4] for start in range(0, len(flat), 4)]
    _write(path, ["real image", "label", "real image", "label"], rows, pairs.classes, found)


def first_sheet(path: Path, train: PairSet, sets: Mapping[str, PairSet]) -> None:
    """Draw two real pairs and below them two pairs of each set."""
    found = [list(train.pairs(evenly(train.select("real"), 2)))]
    found += [list(pairs.pairs(evenly(pairs.select(name), 2))) for name, pairs in sets.items()]
    classes = train.classes
    rows = [[cell for p in row for cell in _image_and_layout(p, classes)] for row in found]
    names = ["real", *sets]
    _write(path, ["image", "label"] * 2, rows, classes, [p for row in found for p in row], names)


def synthetic_sheet(path: Path, pairs: PairSet, train: PairSet, name: str, count: int) -> None:
    """Draw synthetic pairs of a set, beside their real parent where they have one.

    A pair with an edited band shows its parent's image and label, then its own label and image
    with the band outlined; a pair with a parent shows parent, layout and image; a pair without
    shows layout and image, two in a row.
    """
    found = list(pairs.pairs(evenly(pairs.select(name), count)))
    if not found:
        return
    classes = pairs.classes
    if found[0].parent is None:
        found = list(pairs.pairs(evenly(pairs.select(name), 2 * count)))
        flat = [cell for pair in found for cell in reversed(_image_and_layout(pair, classes))]
        rows = [flat[start : start + 4] for start in range(0, len(flat), 4)]
        titles = ["generated layout", "painted image"] * 2
    elif found[0].edited is None:
        rows = [
            [parent.image, classes.colorize(pair.label), pair.image]
            for parent, pair in _with_parents(train, found)
        ]
        titles = ["real parent", "its label = layout", "painted image"]
    else:
        rows = [_edited_row(parent, pair, classes) for parent, pair in _with_parents(train, found)]
        titles = ["real parent", "its label", "edited layout, band outlined", "painted image"]
    _write(path, titles, rows, classes, found)


def closest_sheet(
    path: Path, pairs: PairSet, train: PairSet, closest: Sequence[Mapping[str, Any]]
) -> None:
    """Draw synthetic pairs beside the real one they are nearest to; `closest` are {id, real}."""
    own, real = (_row_of(source) for source in (pairs, train))
    found = [(pairs[own[entry["id"]]], train[real[entry["real"]]]) for entry in closest]
    cells = [
        _image_and_layout(own, pairs.classes) + _image_and_layout(real, pairs.classes)
        for own, real in found
    ]
    titles = ["synthetic image", "its layout", "nearest real image", "its label"]
    _write(path, titles, cells, pairs.classes, [pair for both in found for pair in both])


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return uint8 [H, W, 3] with the inner border of a bool mask [H, W] drawn over it.

    Sides of the mask on the image's border are part of the outline.
    """
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    result = image.copy()
    result[mask & ~inner] = EDGE
    return result


def _edited_row(parent: Pair, pair: Pair, classes: ClassTable) -> Row:
    scale = _scale(pair.label.shape[1])
    assert pair.edited is not None
    edited = _enlarge(pair.edited, scale)
    layout = _enlarge(classes.colorize(pair.label), scale)
    image = _enlarge(pair.image, scale)
    return [
        parent.image,
        classes.colorize(parent.label),
        outlined(layout, edited),
        outlined(image, edited),
    ]


def _image_and_layout(pair: Pair, classes: ClassTable) -> Row:
    return [pair.image, classes.colorize(pair.label)]


def _with_parents(train: PairSet, found: Sequence[Pair]) -> list[tuple[Pair, Pair]]:
    rows = _row_of(train)
    return [(train[rows[pair.parent]], pair) for pair in found if pair.parent is not None]


def _row_of(pairs: PairSet) -> dict[str, int]:
    return {name: row for row, name in enumerate(pairs.ids())}


def _scale(width: int) -> int:
    return max(1, round(CELL_WIDTH / width))


def _enlarge(array: np.ndarray, scale: int) -> np.ndarray:
    return array.repeat(scale, axis=0).repeat(scale, axis=1)


def _write(
    path: Path,
    titles: Sequence[str],
    rows: Sequence[Row],
    classes: ClassTable,
    found: Sequence[Pair],
    captions: Sequence[str] = (),
) -> None:
    scale = _scale(found[0].label.shape[1])
    width = found[0].label.shape[1] * scale
    enlarged = [[_enlarge(cell, width // cell.shape[1]) for cell in row] for row in rows]
    body = contact_sheet(enlarged, captions or [""] * len(rows))
    legend = _legend(classes, found)
    per_line = max(1, body.width // LEGEND_WIDTH)
    lines = -(-len(legend) // per_line)
    sheet = Image.new("RGB", (body.width, TEXT + body.height + lines * TEXT), PAPER)
    sheet.paste(body, (0, TEXT))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=FONT_SIZE)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (width + GAP), 4), title, fill=INK, font=font)
    for index, (name, color) in enumerate(legend):
        x = GAP + (index % per_line) * body.width // per_line
        y = TEXT + body.height + index // per_line * TEXT
        draw.rectangle((x, y + 1, x + 13, y + 12), fill=color, outline=INK)
        draw.text((x + 18, y - 2), name, fill=INK, font=font)
    buffer = BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def _legend(classes: ClassTable, found: Sequence[Pair]) -> list[tuple[str, tuple[int, ...]]]:
    present = np.unique(np.concatenate([np.unique(pair.label) for pair in found]))
    return [
        (classes.names[index], tuple(classes.classes[index].color))
        for index in present
        if index < classes.num_classes
    ]
