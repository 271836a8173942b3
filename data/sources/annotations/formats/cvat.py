"""CVAT for images 1.1: one XML with polygons, boxes, ellipses, masks, polylines and points.

CVAT shows pictures as their EXIF orientation turns them. Objects of a higher `z_order` lie on top,
then later ones.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

import numpy as np

from data.sources.annotations.drawing import ellipse, rectangle, turned, unrolled
from data.sources.annotations.parsing import AGAIN, number, read_xml, whole
from data.sources.annotations.shapes import Annotated, Given, Patch, Points, Rings, Shape, Stroke
from data.sources.decode import MAX_PIXELS
from data.stage.errors import UserError

SILENT = ("tag", "attribute")


def read(given: Given) -> Iterator[Annotated]:
    """Yield every image of the files."""
    for path in given.files:
        root = read_xml(path)
        if root.tag != "annotations" or root.find("track") is not None:
            raise UserError(f"{path} is no export `CVAT for images 1.1`; export the task as that")
        for element in root.iter("image"):
            name = element.get("name", "")
            where = f"{path}, image {name!r}"
            found, others = [], Counter()
            for child in element:
                if child.tag in SILENT:
                    continue
                if child.tag not in KINDS:
                    others[f"shapes of kind {child.tag}"] += 1
                    continue
                parts = KINDS[child.tag](child, where)
                order = whole(child.get("z_order", "0"), where)
                found.append((order, Shape(child.get("label", ""), parts)))
            found.sort(key=lambda entry: entry[0])
            size = whole(element.get("width"), where), whole(element.get("height"), where)
            yield Annotated(name, path, size, [shape for _, shape in found], notes=others)
            element.clear()


def _numbers(element: Element, keys: str, where: str) -> list[float]:
    return [number(element.get(key), f"{where}, {element.tag}") for key in keys.split()]


def _points(element: Element, where: str) -> Points:
    found = []
    for point in element.get("points", "").split(";"):
        x, _, y = point.partition(",")
        found.append((number(x, where), number(y, where)))
    return found


def _box(element: Element, where: str) -> tuple[Rings]:
    left, top, right, bottom = _numbers(element, "xtl ytl xbr ybr", where)
    turn = number(element.get("rotation", "0"), where)
    center = (left + right) / 2, (top + bottom) / 2
    return (Rings((turned(rectangle(left, top, right, bottom), center, turn),)),)


def _ellipse(element: Element, where: str) -> tuple[Rings]:
    x, y, across, down = _numbers(element, "cx cy rx ry", where)
    turn = number(element.get("rotation", "0"), where)
    return (Rings((ellipse((x, y), (across, down), turn),)),)


def _mask(element: Element, where: str) -> tuple[Patch]:
    left, top, width, height = (
        whole(element.get(key), f"{where}, mask") for key in ("left", "top", "width", "height")
    )
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise UserError(f"{where} has a mask of {width}x{height} pixels; {AGAIN}")
    counts = [whole(run, f"{where}, mask") for run in element.get("rle", "").split(",")]

    def read(size: tuple[int, int]) -> np.ndarray:
        return unrolled(counts, width * height).reshape(height, width)

    return (Patch(read, left, top),)


KINDS: dict[str, Callable[[Element, str], tuple]] = {
    "polygon": lambda element, where: (Rings((_points(element, where),)),),
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
    "polyline": lambda element, where: (Stroke(_points(element, where)),),
    "points": lambda element, where: tuple(Stroke([p]) for p in _points(element, where)),
}
