"""Label Studio's JSON: polygons, brushes, rectangles and ellipses, in percent of the picture.

Browsers turn a photograph by its EXIF orientation, so that regions lie on the upright picture.
Brushes are packed as the package @thi.ng/rle-pack packs four bytes for each pixel; the last of the
four is how opaque it is.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from data.sources.annotations.drawing import ellipse, rectangle, turned
from data.sources.annotations.naming import as_uploaded, without_address
from data.sources.annotations.parsing import AGAIN, need, number, points_of, read_json
from data.sources.annotations.shapes import Annotated, Given, Patch, Rings, Shape
from data.sources.decode import MAX_PIXELS
from data.stage.errors import UserError

CHANNELS = 4
SILENT = ("choices", "textarea", "rating", "number", "datetime", "taxonomy", "pairwise")


def is_mine(content: Any) -> bool:
    """Say whether a JSON file's content is of this format."""
    return isinstance(content, list) and any(
        isinstance(task, dict) and "annotations" in task and "data" in task for task in content
    )


def read(given: Given) -> Iterator[Annotated]:
    """Yield every task that somebody finished; one that two have annotated is a `UserError`."""
    for path in given.files:
        content = read_json(path)
        if not is_mine(content):
            raise UserError(
                f"{path} is no JSON export of Label Studio; export as JSON, not a form of it"
            )
        for task in content:
            where = f"{path}, task {task.get('id') if isinstance(task, dict) else task}"
            every = need(task, "annotations", list, where)
            done = [a for a in every if isinstance(a, dict) and not a.get("was_cancelled")]
            if len(done) > 1:
                raise UserError(f"{where} has {len(done)} annotations; keep the one that counts")
            if done:
                name = without_address(_image(task, where))
                yield _annotated(name, need(done[0], "result", list, where), given, path, where)


def _image(task: Any, where: str) -> str:
    """Return the address of a task's picture: its `image`, else its only text with a path."""
    data = need(task, "data", dict, where)
    names = [data["image"]] if isinstance(data.get("image"), str) else []
    names = names or [v for v in data.values() if isinstance(v, str) and ("/" in v or "." in v)]
    if len(names) != 1:
        raise UserError(f"{where} does not say which of its data is the image; name it `image`")
    return names[0]


def _annotated(name: str, results: list[Any], given: Given, path: Any, where: str) -> Annotated:
    shapes, others = [], Counter()
    sizes: set[tuple[int, int]] = set()
    for entry in results:
        kind = need(entry, "type", str, where)
        if kind in SILENT or kind == "relation":
            continue
        if kind not in KINDS:
            others[f"regions of kind {kind}"] += 1
            continue
        if entry.get("image_rotation"):
            raise UserError(f"{where} was turned while it was labelled; turn the picture itself")
        size = need(entry, "original_width", int, where), need(entry, "original_height", int, where)
        sizes.add(size)
        value = need(entry, "value", dict, where)
        labels = value.get(kind) or [""]
        if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
            raise UserError(f"{where} has a region of several labels; a pixel is of one class")
        shapes.append(Shape(labels[0], (KINDS[kind](value, size, where),)))
    if len(sizes) > 1:
        raise UserError(f"{where} has regions on pictures of different sizes; {AGAIN}")
    return Annotated(
        name,
        path,
        sizes.pop() if sizes else None,
        shapes,
        others=(as_uploaded(name),),
        notes=others,
    )


def _polygon(value: Any, size: tuple[int, int], where: str) -> Rings:
    points = points_of(need(value, "points", list, where), where)
    return Rings((tuple((x * size[0] / 100, y * size[1] / 100) for x, y in points),))


def _scaled(value: Any, keys: str, size: tuple[int, int], where: str) -> tuple[float, ...]:
    sides = (size[0], size[1]) * 2
    named = zip(keys.split(), sides, strict=True)
    return tuple(number(value.get(key), where) * side / 100 for key, side in named)


def _rectangle(value: Any, size: tuple[int, int], where: str) -> Rings:
    x, y, width, height = _scaled(value, "x y width height", size, where)
    turn = number(value.get("rotation", 0), where)
    return Rings((turned(rectangle(x, y, x + width, y + height), (x, y), turn),))


def _ellipse(value: Any, size: tuple[int, int], where: str) -> Rings:
    x, y, across, down = _scaled(value, "x y radiusX radiusY", size, where)
    return Rings((ellipse((x, y), (across, down), number(value.get("rotation", 0), where)),))


def _brush(value: Any, size: tuple[int, int], where: str) -> Patch:
    packed = need(value, "rle", list, where)
    if not all(type(byte) is int and 0 <= byte < 256 for byte in packed):
        raise UserError(f"{where} has a brush that is no list of bytes; {AGAIN}")

    def read(size: tuple[int, int]) -> np.ndarray:
        flat = unpacked(bytes(packed), CHANNELS * size[0] * size[1])
        return flat.reshape(size[1], size[0], CHANNELS)[..., -1] > 0

    return Patch(read)


def unpacked(packed: bytes, total: int) -> np.ndarray:
    """Return the `total` numbers of an array that @thi.ng/rle-pack packed, uint8.

    The first 32 bits are how many there are, 5 the bits of a number less 1, four times 4 the bits
    of a length less 1. Then come blocks: a bit (1: one number repeated, 0: as many numbers), 2 bits
    for one of the four sizes, a length less 1 of so many bits.
    """
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    place = 0

    def take(count: int) -> int:
        nonlocal place
        if place + count > len(bits):
            raise UserError("a brush is cut short")
        first, place = place, place + count
        part = int.from_bytes(packed[first >> 3 : (place + 7) >> 3], "big")
        return part >> (-place % 8) & ((1 << count) - 1)

    if take(32) != total or total > CHANNELS * MAX_PIXELS:
        raise UserError("a brush is of another size than its picture")
    word = take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    out, done = np.zeros(total, np.uint8), 0
    while done < total:
        repeats, length = take(1), 0
        length = take(sizes[take(2)]) + 1
        if done + length > total:
            raise UserError("a brush is longer than its picture")
        if repeats:
            out[done : done + length] = take(word) & 255
        else:
            if place + word * length > len(bits):
                raise UserError("a brush is cut short")
            rows = bits[place : place + word * length].reshape(length, word)[:, -8:]
            out[done : done + length] = rows @ (1 << np.arange(rows.shape[1])[::-1])
            place += word * length
        done += length
    return out


KINDS: dict[str, Callable[[Any, tuple[int, int], str], Rings | Patch]] = {
    "polygonlabels": _polygon,
    "rectanglelabels": _rectangle,
    "ellipselabels": _ellipse,
    "brushlabels": _brush,
}
