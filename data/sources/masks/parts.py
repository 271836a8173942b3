"""One mask per class: files whose names end in the class, painted over each other in order."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data.sources.files import RawPair, by_stem, match
from data.sources.masks.classes import Labels, with_rest
from data.sources.masks.encodings import BLACK, COLORED, read_coded
from data.stage.errors import UserError

# Label Studio's brush masks, and the random start of the names that it gives to images.
TASK = re.compile(r"task-(\d+)-annotation-(\d+)-by-\d+")
UPLOADED = re.compile(r"^[0-9a-f]{8}-")
# It counts the files of one class of one image at the end.
COUNTER = r"(?:-\d+)?"

Part = tuple[str, Path, tuple[tuple[int, Path], ...]]


def pair_parts(
    images: Iterable[Path], masks: Iterable[Path], labels: Labels, image_suffix: str, pairing: str
) -> list[Part]:
    """Return (key, image, ((class, mask), ...)) sorted by key; masks in the order of painting.

    A stem is an image's, then the `suffix` of its class; an image need not have a mask of every
    class. With pairing `number` it is task-N-annotation-M-by-K, the `suffix`, and perhaps a number,
    and N counts as the numbers in the names of the images do.
    """
    named = by_stem(images, image_suffix)
    files = by_stem(masks)
    numbers = tasks(files, named) if pairing == "number" else {}
    found: dict[str, list[tuple[int, Path]]] = {}
    for stem, file in files.items():
        key, index = _owner(stem, file, named, numbers, labels)
        found.setdefault(key, []).append((index, file))
    first = {key: parts[0][1] for key, parts in found.items()}
    matched = match(named, first, "dataset.folder.masks (its `suffix` of a class at the end)")
    return [(key, image, tuple(sorted(found[key]))) for key, image, _ in matched]


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
    stem: str, file: Path, images: Mapping[str, Path], numbers: Mapping[int, str], labels: Labels
) -> tuple[str, int]:
    """Return the image and the class of a mask."""
    owners, ends = set(), []
    for index, entry in enumerate(with_rest(labels)):
        if entry.suffix is None:
            continue
        ends.append(entry.suffix)
        counter = COUNTER if numbers else ""
        cut = re.fullmatch(f"(.+){re.escape(entry.suffix)}{counter}", stem)
        if cut is None:
            continue
        task = TASK.fullmatch(cut[1]) if numbers else None
        key = numbers[int(task[1])] if task else cut[1]
        if key in images:
            owners.add((key, index))
    if not owners:
        raise UserError(
            f"{file} is the mask of no image and class: its name is not that of an image and then "
            f"{_either(ends)}; rename or remove it, or add the class to dataset.folder.classes"
        )
    if len(owners) > 1:
        (one, _), (other, _) = sorted(owners)[:2]
        raise UserError(f"{file} may belong to {one!r} or to {other!r}; rename it")
    return owners.pop()


def _either(ends: Sequence[str]) -> str:
    return " or ".join(map(repr, ends[:6])) + (" or ..." if len(ends) > 6 else "")
