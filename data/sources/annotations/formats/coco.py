"""COCO's JSON: polygons, run lengths as lists and as text, crowds.

Of several polygons of one object COCO's own code fills all; tools that mean holes by outlines
inside of outlines need `holes: true`. Objects that have a box alone are left out and counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.sources.annotations.parsing import AGAIN, need, paired, read_json, size_of, whole
from data.sources.annotations.shapes import Annotated, Given, Rings, Runs, Shape
from data.stage.errors import UserError

BOXES = "objects with a box and no outline"


def is_mine(content: Any) -> bool:
    """Say whether a JSON file's content is of this format."""
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in keys):
        return False
    return not any(isinstance(a, dict) and "segments_info" in a for a in content["annotations"])


def read(given: Given) -> Iterator[Annotated]:
    """Yield every image of the files, also those without an object."""
    for path in given.files:
        content = read_json(path)
        images, names = images_of(content, path), categories_of(content, path)
        shapes: dict[int | str, list[Shape]] = {key: [] for key in images}
        boxes: Counter[int | str] = Counter()
        for number, entry in enumerate(need(content, "annotations", list, str(path))):
            where = f"{path}, annotation {number}"
            image = need(entry, "image_id", (int, str), where)
            if image not in images:
                raise UserError(f"{where} is of image {image}, which the file has not; {AGAIN}")
            part = _part(entry.get("segmentation"), where, given.config.holes)
            if part is None:
                boxes[image] += 1
                continue
            category = need(entry, "category_id", int, where)
            label = names.get(category, f"category {category}")
            shapes[image].append(Shape(label, (part,), crowd=bool(entry.get("iscrowd", 0))))
        del content
        for key, entry in images.items():
            where = f"{path}, image {key}"
            yield Annotated(
                need(entry, "file_name", str, where),
                path,
                size_of(entry, ("width", "height"), where),
                shapes.pop(key),
                notes={BOXES: boxes[key]} if boxes[key] else {},
            )


def images_of(content: Any, path: Path) -> dict[int | str, Any]:
    """Return image id -> entry of a COCO file."""
    images: dict[int | str, Any] = {}
    for number, entry in enumerate(need(content, "images", list, str(path))):
        key = need(entry, "id", (int, str), f"{path}, image {number}")
        if key in images:
            raise UserError(f"{path} has two images of id {key}; {AGAIN}")
        images[key] = entry
    return images


def categories_of(content: Any, path: Path) -> dict[int, str]:
    """Return category id -> name of a COCO file."""
    names: dict[int, str] = {}
    for number, entry in enumerate(need(content, "categories", list, str(path))):
        where = f"{path}, category {number}"
        key, name = need(entry, "id", int, where), need(entry, "name", str, where)
        if names.setdefault(key, name) != name:
            raise UserError(
                f"{path} has two categories of id {key}, {names[key]} and {name}; {AGAIN}"
            )
    return names


def _part(value: Any, where: str, holes: bool) -> Rings | Runs | None:
    if isinstance(value, dict):
        size = need(value, "size", list, where)
        if len(size) != 2:
            raise UserError(f"{where} has a run-length mask without height and width; {AGAIN}")
        height, width = (whole(side, where) for side in size)
        return Runs(need(value, "counts", (list, str), where), (width, height))
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(ring, list) for ring in value):
        raise UserError(f"{where} has a segmentation that is no list of polygons; {AGAIN}")
    rings = tuple(tuple(paired(ring, where)) for ring in value if ring)
    return Rings(rings, holes) if rings else None
