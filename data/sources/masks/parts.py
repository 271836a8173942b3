"""One mask per class: files whose names end in the class, painted over each other in order."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.sources.files import RawPair, folded
from data.sources.masks.classes import Labels, with_rest
from data.sources.masks.coded import BLACK, COLORED, read_coded
from data.sources.reading.walk import nfc
from data.stage.errors import UserError

# Label Studio's brush masks, and the random start of the names that it gives to images.
TASK = re.compile(r"task-(\d+)-annotation-(\d+)-by-\d+")
UPLOADED = re.compile(r"^[0-9a-f]{8}-")
# It counts the files of one class of one image at the end.
COUNTER = r"(?:-\d+)?"


class Part(NamedTuple):
    """A mask of one class, by its number, of an image."""

    number: int
    path: Path


def pair_parts(
    images: Mapping[str, Path], masks: Mapping[str, Path], labels: Labels, pairing: str
) -> dict[str, tuple[Part, ...]]:
    """Return key of an image -> its masks in the order of painting, of files by their keys.

    The key of a mask is an image's, then the `suffix` of its class, both in whatever case where
    that leaves no doubt; an image need not have a mask of every class. With pairing `number` it is
    task-N-annotation-M-by-K, the `suffix`, and perhaps a number, and N counts as the numbers in the
    names of the images do.
    """
    numbers = tasks(masks, images) if pairing == "number" else {}
    find, found = finder(images), {}
    for key, path in masks.items():
        image, index = _owner(key, path, find, numbers, labels)
        found.setdefault(image, []).append(Part(index, path))
    return {image: tuple(sorted(parts)) for image, parts in found.items()}


def ending_in(masks: str) -> str:
    """Return what messages call the place of masks of one class each."""
    return f"{masks} (ending in the `suffix` of a class)"


def finder(images: Iterable[str]) -> Callable[[str], str | None]:
    """Return what finds a name among those of images, in another case where that is of one."""
    exact = frozenset(images)
    loose = folded(exact)
    return lambda name: name if name in exact else loose.get(name.casefold())


def read_parts(pair: RawPair) -> np.ndarray:
    """Paint the masks of a pair, uint8 [H, W]; of two that overlap, the later class is seen."""
    label: np.ndarray | None = None
    for index, path in zip(pair.layers, pair.parts, strict=True):
        mask = read_part(path)
        label = np.full(mask.shape, pair.rest, np.uint8) if label is None else label
        if mask.shape != label.shape:
            raise UserError(
                f"{path} and {pair.parts[0]} differ in size; masks of an image have one size"
            )
        label[mask] = index
    assert label is not None
    return label


def read_part(path: Path) -> np.ndarray:
    """Read the mask of one class, bool [H, W]: black is not the class, one other value is."""
    coded = read_coded(path)
    looks = {value: value for value in coded.counts}
    if coded.shades is not None:
        looks |= coded.looks()
    marks = [value for value, shade in looks.items() if shade != BLACK]
    if len(marks) > 1:
        what = "colours" if coded.kind == COLORED else "values"
        raise UserError(
            f"{path} has {len(marks)} {what} besides black; a mask of one class has one: export it "
            "without smooth edges, or give classes a `value` in place of a `suffix`"
        )
    return np.isin(coded.values, marks)


def rest_of(labels: Labels) -> int:
    """Return the class of pixels that no mask marks."""
    return next(i for i, entry in enumerate(with_rest(labels)) if entry.suffix is None)


def tasks(masks: Mapping[str, Path], images: Mapping[str, Path]) -> dict[int, str]:
    """Return task number -> image, where the names of the images say it; else a `UserError`.

    They do when they are equal but for one number, and these numbers are those of the tasks, all
    moved by the same amount.
    """
    annotations: dict[int, dict[str, Path]] = {}
    for stem, file in masks.items():
        named = TASK.match(stem)
        if named is None:
            raise UserError(
                f"{file} is not named task-N-annotation-M-by-K-tag-CLASS; rename it, or set "
                "dataset.folder.pairing to stem"
            )
        annotations.setdefault(int(named[1]), {}).setdefault(named[2], file)
    for task, files in annotations.items():
        if len(files) > 1:
            one, other = list(files.values())[:2]
            raise UserError(f"{one} and {other} are two annotations of task {task}; remove one")
    found = {int(_number(key) or -1): key for key in images}
    alike = {re.sub(r"\d+(?=\D*$)", "#", UPLOADED.sub("", key)) for key in images}
    ordered, numbers = sorted(annotations), sorted(found)
    moved = {task - number for task, number in zip(ordered, numbers, strict=False)}
    if len(alike) > 1 or -1 in found or not len(images) == len(ordered) == len(found):
        moved = set()
    if len(moved) != 1:
        mask = next(iter(masks.values()))
        raise UserError(
            f"{mask} is named by the number of a task, and names such as "
            f"{next(iter(images.values())).name} do not say for certain which image that is "
            f"({len(ordered)} tasks, {len(images)} images); rename each mask like its image, then "
            "an underscore and the class: IMAGE_tree.png"
        )
    return {task: found[number] for task, number in zip(ordered, numbers, strict=True)}


def _number(key: str) -> str | None:
    digits = re.findall(r"\d+", UPLOADED.sub("", key))
    return digits[-1] if digits else None


def _owner(
    key: str,
    path: Path,
    find: Callable[[str], str | None],
    numbers: Mapping[int, str],
    labels: Labels,
) -> tuple[str, int]:
    """Return the image and the class of a mask."""
    ends = {i: nfc(c.suffix) for i, c in enumerate(with_rest(labels)) if c.suffix is not None}
    counter = COUNTER if numbers else ""
    owners: set[tuple[str, int]] = set()
    for flags in (0, re.IGNORECASE):
        for index, suffix in ends.items():
            cut = re.fullmatch(f"(.+){re.escape(suffix)}{counter}", key, flags)
            task = TASK.fullmatch(cut[1]) if cut and numbers else None
            image = numbers[int(task[1])] if task else find(cut[1]) if cut else None
            owners |= set() if image is None else {(image, index)}
        if owners:
            break
    if not owners:
        raise UserError(
            f"{path} is the mask of no image and class: its name is not that of an image and then "
            f"{_either(list(ends.values()))}; rename or remove it, or add the class to "
            "dataset.folder.classes"
        )
    if len(owners) > 1:
        (one, _), (other, _) = sorted(owners)[:2]
        raise UserError(f"{path} may belong to {one!r} or to {other!r}; rename it")
    return owners.pop()


def _either(ends: Sequence[str]) -> str:
    return " or ".join(map(repr, ends[:6])) + (" or ..." if len(ends) > 6 else "")
