"""COCO panoptic: a JSON, and for each image a PNG whose colours number its segments."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data.sources.annotations.formats.coco import categories_of, images_of
from data.sources.annotations.naming import Finder
from data.sources.annotations.parsing import AGAIN, need, read_json, size_of
from data.sources.annotations.shapes import Annotated, Coded, Given
from data.sources.decode import decode_label
from data.sources.files import glob_files
from data.sources.reading.pixels import rgb
from data.stage.errors import UserError

MASKS = "dataset.annotations.masks"


def is_mine(content: Any) -> bool:
    """Say whether a JSON file's content is of this format."""
    entries = content.get("annotations") if isinstance(content, dict) else None
    return isinstance(entries, list) and any(
        isinstance(entry, dict) and "segments_info" in entry for entry in entries
    )


def read(given: Given) -> Iterator[Annotated]:
    """Yield every annotated image; number 0 of a mask is what nobody labelled."""
    if given.config.masks is None:
        raise UserError(f"{MASKS} is missing; write a glob of the PNG masks, 'panoptic/**/*.png'")
    finder = Finder(given.root, glob_files(given.root, given.config.masks, MASKS))
    for path in given.files:
        content = read_json(path)
        images, names = images_of(content, path), categories_of(content, path)
        for number, entry in enumerate(need(content, "annotations", list, str(path))):
            where = f"{path}, annotation {number}"
            key = need(entry, "image_id", (int, str), where)
            if key not in images:
                raise UserError(f"{where} is of image {key}, which the file has not; {AGAIN}")
            labels = {}
            for segment in need(entry, "segments_info", list, where):
                category = need(segment, "category_id", int, where)
                label = names.get(category, f"category {category}")
                labels[need(segment, "id", int, where)] = label
            file_name = need(entry, "file_name", str, where)
            mask = finder.find(f"{path.stem}/{file_name}") or finder.find(file_name)
            if mask is None:
                raise UserError(f"{where} has the mask {file_name}, which {MASKS} does not find")
            yield Annotated(
                need(images[key], "file_name", str, where),
                path,
                size_of(images[key], ("width", "height"), where),
                coded=Coded(_reader(mask), labels, unlabelled=(0,)),
            )


def _reader(mask: Path) -> Callable[[], np.ndarray]:
    """Return what reads the numbers of segments: red + 256 green + 65536 blue, int32 [H, W]."""

    def numbers(file: Any) -> np.ndarray:
        colors = rgb(file).astype(np.int32)
        return colors[..., 0] + (colors[..., 1] << 8) + (colors[..., 2] << 16)

    return lambda: decode_label(mask, numbers)
