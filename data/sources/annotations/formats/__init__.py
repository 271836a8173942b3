"""The registry of annotation formats: who reads them, and how their tools draw."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from data.sources.annotations.formats import (
    coco,
    coco_panoptic,
    cvat,
    label_studio,
    labelme,
    parquet,
    yolo,
)
from data.sources.annotations.shapes import Annotated, Given


@dataclass(frozen=True)
class Format:
    """One format: `read` yields what its files say, image by image.

    `on_top` is which of two objects is seen by the rules of the format. `upright` says that its
    tools outline a photograph as its EXIF orientation turns it. `holds_pictures` says
    that its files hold the images, `whole` that every pixel has a number, `needs_masks` that these
    lie in files of their own, `numbers_classes` that a YAML file names the classes. `suffix` is
    that of its files; `is_mine` tells by the content of a JSON file. `total` is how many images
    there are, where no pictures say it.
    """

    read: Callable[[Given], Iterator[Annotated]]
    suffix: str
    on_top: Literal["smaller", "later"]
    upright: bool
    holds_pictures: bool = False
    whole: bool = False
    needs_masks: bool = False
    numbers_classes: bool = False
    is_mine: Callable[[Any], bool] | None = None
    total: Callable[[Given], int] | None = None


FORMATS: dict[str, Format] = {
    "coco": Format(coco.read, ".json", "smaller", False, is_mine=coco.is_mine),
    "coco_panoptic": Format(
        coco_panoptic.read,
        ".json",
        "smaller",
        False,
        is_mine=coco_panoptic.is_mine,
        whole=True,
        needs_masks=True,
    ),
    "labelme": Format(labelme.read, ".json", "later", True, is_mine=labelme.is_mine),
    "yolo": Format(yolo.read, ".txt", "smaller", True, numbers_classes=True),
    "cvat": Format(cvat.read, ".xml", "later", True),
    "label_studio": Format(label_studio.read, ".json", "later", True, is_mine=label_studio.is_mine),
    "parquet": Format(
        parquet.read,
        ".parquet",
        "later",
        True,
        holds_pictures=True,
        whole=True,
        total=parquet.total,
    ),
}
