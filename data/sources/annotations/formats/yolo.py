"""YOLO's polygons: a text file for each image, a line for each object, fractions of the picture.

A line is the number of the class and x, y of every corner; four numbers are a box, which is left
out and counted. `names` is the data.yaml with the names of classes; without it classes are called
by their numbers. An image without an object has an empty file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.sources.annotations.formats.coco import BOXES
from data.sources.annotations.parsing import paired, read_text, whole
from data.sources.annotations.shapes import Annotated, Given, Rings, Shape
from data.sources.reading.walk import slashed
from data.stage.errors import UserError

MOST = 2.0
LISTS = ("classes.txt", "train.txt", "val.txt", "test.txt")


def read(given: Given) -> Iterator[Annotated]:
    """Yield the image of every file."""
    names = names_of(given.root, given.config.names)
    for path in given.files:
        if path.name.lower() in LISTS:
            continue
        shapes, boxes = [], 0
        for number, line in enumerate(read_text(path).splitlines(), 1):
            words, where = line.split(), f"{path}, line {number}"
            if not words:
                continue
            index = whole(words[0], where)
            if len(words) == 5:
                boxes += 1
                continue
            points = paired(words[1:], where)
            if max(abs(x) for point in points for x in point) > MOST if points else True:
                raise UserError(
                    f"{where} is no class and fractions of the picture; YOLO's polygons are "
                    "`class x y x y x y`, each from 0 to 1"
                )
            label = names.get(index, str(index))
            shapes.append(Shape(label, (Rings((tuple(points),)),)))
        name = path.relative_to(given.root)
        yield Annotated(
            name.as_posix(),
            path,
            shapes=shapes,
            fractions=True,
            stem=name.with_suffix("").as_posix(),
            notes={BOXES: boxes} if boxes else {},
        )


def names_of(root: Path, file: str | None) -> dict[int, str]:
    """Return class number -> name by a data.yaml, a list or a mapping; nothing for no file."""
    if file is None:
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = root / slashed(file, root)
    if not path.is_file():
        raise UserError(f"{path} is missing; dataset.annotations.names names it")
    try:
        content: Any = YAML(typ="safe", pure=True).load(read_text(path))
    except (YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(key, int) for key in names):
        raise UserError(f"{path} has no `names`, a list or `number: name`; correct it")
    return {key: str(name) for key, name in names.items()}
