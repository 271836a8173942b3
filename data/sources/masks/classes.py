"""The classes of a user's folder: which values, colours or files mean which."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.masks.coded import voc_color
from data.sources.masks.encodings import Meaning, pack
from data.stage.errors import UserError
from data.stage.params import Params

Channel = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Channel, Channel, Channel]

VOID, REST = "void", "background"
MAX_ID = 65535
KNOWN = "add the value to dataset.folder.classes or to dataset.folder.unlabelled"


class FolderClass(Params):
    """One class: its value in the masks (an id, or red green blue), name, colour, and `eval`.

    `also` are other values that mean the same; with `last`, all ids from `value` to it are the
    class (objects numbered one by one). Where each class has masks of its own, `suffix` ends their
    stems and there is no value. `color` is what indexed masks show the class in. `mirror` names
    the class that it becomes in a picture mirrored left to right.
    """

    value: int | Rgb | None = None
    also: tuple[int | Rgb, ...] = ()
    last: int | None = Field(default=None, ge=0, le=MAX_ID)
    suffix: str | None = Field(default=None, min_length=1)
    name: str
    color: Rgb | None = None
    eval: bool = True
    mirror: str | None = None


class Labels(Params):
    """The classes, and the values of pixels that nobody labelled; -1 is among them."""

    classes: tuple[FolderClass, ...] = Field(min_length=1)
    unlabelled: tuple[int | Rgb, ...] = (255,)


def by_suffix(labels: Labels) -> bool:
    """Say whether each class has masks of its own."""
    return any(entry.suffix is not None for entry in labels.classes)


def by_color(labels: Labels) -> bool:
    """Say whether masks are read by the colours that they show."""
    return isinstance(labels.classes[0].value, tuple)


def with_rest(labels: Labels) -> tuple[FolderClass, ...]:
    """Return the classes; where each has masks of its own, `background` is the first of them.

    It is added unless a class without suffix says what the rest is called.
    """
    if not by_suffix(labels) or any(entry.suffix is None for entry in labels.classes):
        return labels.classes
    return (FolderClass(name=REST), *labels.classes)


def class_table(labels: Labels) -> ClassTable:
    """Return the configured classes, then `void` when some unlabelled value is not a class."""
    _check_values(labels)
    classes = [
        ClassInfo(entry.name, entry.color or color_of(index), entry.eval, entry.mirror)
        for index, entry in enumerate(with_rest(labels))
    ]
    own = next((entry for entry in labels.classes if entry.name == VOID), None)
    if _void_values(labels) and own is None:
        classes.append(ClassInfo(VOID, (0, 0, 0), False))
    elif _void_values(labels) and own is not None and own.eval:
        raise UserError(
            f"unlabelled pixels become the class {VOID!r}, which counts in mIoU here; give it "
            "`eval: false`, call it something else, or set dataset.folder.unlabelled to []"
        )
    return ClassTable(tuple(classes))


def color_table(labels: Labels) -> dict[int, int]:
    """Return packed colour -> class, for masks that are read by the colours that they show."""
    table = {pack(v): _void(labels) for v in _void_values(labels) if isinstance(v, tuple)}
    for index, entry in enumerate(labels.classes):
        table |= {pack(v): index for v in (entry.value, *entry.also) if isinstance(v, tuple)}
    return table


def meaning(labels: Labels) -> Meaning:
    """Return what masks of ids mean."""
    void, classes = _void(labels), labels.classes
    ids: dict[int, int] = {}
    for index, entry in enumerate(classes):
        if isinstance(entry.value, int):
            ids |= dict.fromkeys(range(entry.value, (entry.last or entry.value) + 1), index)
    unlabelled = {v for v in _void_values(labels) if isinstance(v, int)}
    unlabelled |= {-1} if _void_values(labels) else set()  # there is a void to take them
    ids |= dict.fromkeys(unlabelled, void)
    for index, entry in enumerate(classes):
        ids |= {v: index for v in (entry.value, *entry.also) if isinstance(v, int)}
    told = "unlabelled" in labels.model_fields_set
    return Meaning(
        ids,
        {i: pack(entry.color) for i, entry in enumerate(classes) if entry.color is not None},
        [entry.name for entry in classes],
        KNOWN,
        recorded=True,
        doubtful_white=1 in ids and 255 in ids and ids[1] != ids[255] and told,
        untold=255 in unlabelled and not told,
        unlabelled=unlabelled,
        others={pack(v): void for v in _void_values(labels) if not isinstance(v, int)},
    )


def _void(labels: Labels) -> int:
    names = [entry.name for entry in labels.classes]
    return names.index(VOID) if VOID in names else len(names)


def _check_values(labels: Labels) -> None:
    if by_suffix(labels):
        _check_suffixes(labels.classes)
        return
    values = [v for entry in labels.classes for v in (entry.value, *entry.also)]
    if None in values:
        raise UserError(
            "dataset.folder.classes has a class without `value`; give each its value in the masks, "
            "or, where each class has masks of its own, the `suffix` of their names"
        )
    if len({type(value) for value in values}) > 1:
        raise UserError(
            "dataset.folder.classes mixes ids and colours; give all classes a number, or all a "
            "triple [red, green, blue]"
        )
    value, count = Counter(values).most_common(1)[0]
    if count > 1:
        raise UserError(
            f"dataset.folder.classes has {count} classes of value {value}; a value is one class"
        )
    for entry in labels.classes:
        if entry.last is not None and not (
            isinstance(entry.value, int) and 0 <= entry.value <= entry.last
        ):
            raise UserError(
                f"dataset.folder.classes: {entry.name!r} has `last: {entry.last}` and the value "
                f"{entry.value}; ids go from `value` up to `last`"
            )


def _check_suffixes(classes: Sequence[FolderClass]) -> None:
    for entry in classes:
        if entry.value is not None or entry.also or entry.last is not None:
            raise UserError(
                f"dataset.folder.classes: {entry.name!r} has a value, and others have a `suffix`; "
                "where each class has masks of its own, none has a value"
            )
    suffix, count = Counter(entry.suffix for entry in classes).most_common(1)[0]
    if count > 1:
        what = "no suffix" if suffix is None else f"the suffix {suffix!r}"
        raise UserError(
            f"dataset.folder.classes has {count} classes of {what}; each has its own, and only the "
            "rest has none"
        )


def _void_values(labels: Labels) -> list[int | Rgb]:
    """Return the unlabelled values that are not a class and may be in the masks."""
    if by_suffix(labels):
        return []
    taken = {v for entry in labels.classes for v in (entry.value, *entry.also)}
    kinds = tuple if by_color(labels) else (int, tuple)
    return [v for v in labels.unlabelled if isinstance(v, kinds) and v not in taken]


def color_of(index: int) -> Rgb:
    """Return a colour that differs from those of other indices: Pascal VOC's bit pattern."""
    key = voc_color(index + 1)
    return (key >> 16, key >> 8 & 255, key & 255)
