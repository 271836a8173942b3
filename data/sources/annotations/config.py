"""The section `dataset.annotations`: files, classes, and how objects become pixels."""

from typing import Literal

from pydantic import Field

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.masks.classes import Rgb, color_of
from data.sources.reading.dividing import Divided
from data.sources.reading.walk import nfc
from data.stage.errors import UserError
from data.stage.params import Params

VOID = "void"


class AnnotatedClass(Params):
    """One class; `labels` are what the annotations call it, its name where that is empty.

    `eval` and `mirror` are those of `folder`.
    """

    name: str
    labels: tuple[str, ...] = ()
    color: Rgb | None = None
    eval: bool = True
    mirror: str | None = None


class Config(Divided):
    """Where annotations and pictures are, what they are called, classes and splits.

    `files` is a glob of the annotation files of a `format` (see `formats`), `images` one of the
    pictures, which annotations name by the ends of their paths; null where the files hold them.
    `masks` are the masks of `coco_panoptic`, `names` the YAML file with the class names of `yolo`,
    `columns` the image and the label of `parquet`.

    `rest` is the class of pixels that nobody outlined: one of `classes`, or `void`, which is
    appended and does not count. Objects with a label of `ignored` are not drawn. Where objects
    overlap, `on_top` says which is seen: the `smaller` one or the `later` one in the file; null is
    the way of the format. With `holes` outlines inside of outlines of one object are holes; COCO's
    own code fills them. Lines and points are `line_width` pixels wide. Images that no annotation
    names are left out, or, with `unannotated: rest`, all of them is `rest`.

    How images are divided: see `reading.dividing`.
    """

    format: str
    files: str
    images: str | None = None
    masks: str | None = None
    names: str | None = None
    columns: tuple[str, str] = ("image", "label")
    classes: tuple[AnnotatedClass, ...] = Field(min_length=1)
    ignored: tuple[str, ...] = ()
    rest: str = VOID
    on_top: Literal["smaller", "later"] | None = None
    holes: bool = False
    line_width: int = Field(default=5, ge=1, le=255)
    unannotated: Literal["left_out", "rest"] = "left_out"


def class_table(config: Config) -> ClassTable:
    """Return the configured classes, then `void` where it is the rest and not among them."""
    classes = [
        ClassInfo(entry.name, entry.color or color_of(index), entry.eval, entry.mirror)
        for index, entry in enumerate(config.classes)
    ]
    if config.rest not in [entry.name for entry in config.classes]:
        if config.rest != VOID:
            raise UserError(
                f"dataset.annotations.rest is {config.rest!r}, which is no class; there is "
                f"{', '.join(entry.name for entry in config.classes)}, or {VOID}"
            )
        classes.append(ClassInfo(VOID, (0, 0, 0), False))
    return ClassTable(tuple(classes))


def labels_of(config: Config) -> dict[str, int | None]:
    """Return label -> class id, None for labels that are not drawn; one is of one class alone."""
    named: dict[str, int | None] = {}
    every = [(label, i) for i, c in enumerate(config.classes) for label in c.labels or (c.name,)]
    for label, index in [*every, *((label, None) for label in config.ignored)]:
        if nfc(label) in named:
            raise UserError(f"dataset.annotations gives the label {label!r} to two classes")
        named[nfc(label)] = index
    return named
