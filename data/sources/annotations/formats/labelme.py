"""labelme's JSON, one for each image: every kind of shape it draws.

labelme turns a photograph by its EXIF orientation before it shows it (`LabelFile.load_image_file`
of labelme/_label_file.py), so that shapes lie on the upright picture; versions before that wrote
the size of the picture as stored. Later shapes are drawn over earlier ones, as its own export does;
shapes of one label and `group_id` are one object.
"""

import base64
import binascii
import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from data.sources.annotations.drawing import ellipse, rectangle
from data.sources.annotations.parsing import AGAIN, need, points_of, read_json, size_of
from data.sources.annotations.shapes import Annotated, Given, Patch, Points, Rings, Shape, Stroke
from data.sources.decode import MAX_PIXELS
from data.stage.errors import UserError

KINDS: dict[str, tuple[int, int | None]] = {
    "polygon": (3, None),
    "oriented_rectangle": (4, 4),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "points": (1, None),
    "mask": (2, 2),
}
"""Kind of shape -> least and most points."""


def is_mine(content: Any) -> bool:
    """Say whether a JSON file's content is of this format."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read(given: Given) -> Iterator[Annotated]:
    """Yield the image of every file; a file without shapes is an image without objects."""
    for path in given.files:
        content = read_json(path)
        shapes: list[Shape] = []
        few: Counter[str] = Counter()
        for number, entry in enumerate(need(content, "shapes", list, str(path))):
            where = f"{path}, shape {number}"
            kind = str(entry.get("shape_type") or "polygon") if isinstance(entry, dict) else ""
            points = points_of(need(entry, "points", list, where), where)
            if kind not in KINDS:
                raise UserError(f"{where} is a {kind!r}; there is {', '.join(KINDS)}")
            least, most = KINDS[kind]
            if len(points) < least or (most is not None and len(points) > most):
                few[f"shapes of kind {kind} with {len(points)} points"] += 1
                continue
            parts = _parts(kind, points, entry, where)
            shapes.append(Shape(need(entry, "label", str, where), parts))
        name = content.get("imagePath")
        yield Annotated(
            name if isinstance(name, str) and name else path.name,
            path,
            size_of(content, ("imageWidth", "imageHeight"), str(path)),
            shapes,
            stem=path.relative_to(given.root).with_suffix("").as_posix(),
            notes=few,
        )


def _parts(kind: str, points: Points, entry: Any, where: str) -> tuple[Any, ...]:
    if kind in ("polygon", "oriented_rectangle"):
        return (Rings((points,)),)
    if kind in ("line", "linestrip"):
        return (Stroke(points),)
    if kind in ("point", "points"):
        return tuple(Stroke([point]) for point in points)
    (x, y), (other_x, other_y) = points
    if kind == "rectangle":
        return (Rings((rectangle(x, y, other_x, other_y),)),)
    if kind == "circle":
        radius = float(np.hypot(other_x - x, other_y - y))
        return (Rings((ellipse((x, y), (radius, radius)),)),)
    left, top = int(min(x, other_x)), int(min(y, other_y))
    return (Patch(_mask(need(entry, "mask", str, where), where), left, top),)


def _mask(text: str, where: str) -> Callable[[tuple[int, int]], np.ndarray]:
    """Return what decodes a PNG in base64, bool [h, w]."""

    def read(size: tuple[int, int]) -> np.ndarray:
        try:
            with Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"]) as file:
                if file.width * file.height > MAX_PIXELS:
                    raise UserError(f"{where} has a mask of {file.width}x{file.height} pixels")
                return np.asarray(file.convert("L")) > 0
        except UserError:
            raise
        except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise UserError(f"{where} has a mask that is no PNG in base64; {AGAIN}") from None

    return read
