"""The user's own images and masks: two globs, a class table and a rule for the splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from data.classes import ClassInfo, ClassTable
from data.errors import UserError
from data.params import Params
from data.sources.files import (
    RawPair,
    by_stem,
    match,
    read_colors,
    read_values,
    require_folder,
    to_ids,
)

VOID = "void"
LICENCE = "your own images: nothing is known of their licence"
Rgb = tuple[int, int, int]


class FolderClass(Params):
    """One class: its value in the masks (an id, or red green blue), name, colour, and `eval`."""

    value: int | Rgb
    name: str
    color: Rgb | None = None
    eval: bool = True


class Config(Params):
    """Where images and masks are, which mask belongs to which image, classes and splits.

    A mask belongs to the image of the same stem (file name without folder and extension), after
    `image_suffix` and `mask_suffix` are taken off the ends of the stems. Mask values are ids in
    one channel (0/255 masks too) when class values are numbers, colours when they are triples.
    `unlabelled` values that are no class become the class `void`, which is then appended and does
    not count in mIoU. Splits are by `list` (text files under the root, one stem a line), by
    `share` (seeded; shares of all pairs) or by `glob` (one image glob per split).
    """

    images: str
    masks: str
    classes: tuple[FolderClass, ...] = Field(min_length=1)
    image_suffix: str = ""
    mask_suffix: str = ""
    unlabelled: tuple[int | Rgb, ...] = (255,)
    split: Literal["list", "share", "glob"] = "share"
    list: dict[str, str] = Field(default_factory=dict)
    share: dict[str, float] = Field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    glob: dict[str, str] = Field(default_factory=dict)
    seed: int = Field(0, ge=0)


def class_table(config: Config) -> ClassTable:
    """Return the configured classes, then `void` when some unlabelled value is no class."""
    classes = [
        ClassInfo(entry.name, entry.color or _color(index), entry.eval)
        for index, entry in enumerate(config.classes)
    ]
    if _void_values(config) and VOID not in [entry.name for entry in classes]:
        classes.append(ClassInfo(VOID, (0, 0, 0), False))
    return ClassTable(tuple(classes))


def prepare(
    root: Path, splits: Sequence[str], config: Config, size: tuple[int, int], scratch: Path
) -> Path:
    """Return the folder to read: the root itself, nothing has to be made."""
    return root


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits by the rules of `Config`; ids are paths under the root."""
    require_folder(root, "your images and masks")
    images = by_stem(_files(root, config.images, "images"), config.image_suffix)
    masks = by_stem(_files(root, config.masks, "masks"), config.mask_suffix)
    matched = match(images, masks, f"{config.masks} (see dataset.folder.mask_suffix)")
    parts = _split(root, splits, config, images)
    pairs = []
    for split in splits:
        for stem, image, mask in matched:
            if stem in parts[split]:
                name = image.relative_to(root).with_suffix("").as_posix().replace("/", "-")
                pairs.append(RawPair(name, split, image, mask))
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a mask as class ids uint8 [H, W]; unlabelled values become `void`."""
    coded = isinstance(config.classes[0].value, tuple)
    ids = {_key(entry.value): index for index, entry in enumerate(config.classes)}
    names = [entry.name for entry in config.classes]
    void = names.index(VOID) if VOID in names else len(names)
    table = {_key(value): void for value in _void_values(config)} | ids
    known = "add the value to dataset.folder.classes or to dataset.folder.unlabelled"
    if not coded:
        return to_ids(read_values(pair.label), table, pair.label, known)
    colors = read_colors(pair.label).astype(np.int32)
    packed = (colors[..., 0] << 16) + (colors[..., 1] << 8) + colors[..., 2]
    return to_ids(packed, table, pair.label, known, show=_unpack)


def _key(value: int | Rgb) -> int:
    """Return one number for a mask value: an id is itself, a colour its 24 bits."""
    if isinstance(value, int):
        return value
    return (value[0] << 16) + (value[1] << 8) + value[2]


def _unpack(key: int) -> str:
    return f"rgb({key >> 16}, {key >> 8 & 255}, {key & 255})"


def _void_values(config: Config) -> list[int | Rgb]:
    """Return the unlabelled values that are no class and of the kind the masks have."""
    kind = type(config.classes[0].value)
    taken = {entry.value for entry in config.classes}
    return [v for v in config.unlabelled if isinstance(v, kind) and v not in taken]


def _color(index: int) -> Rgb:
    """Return a colour that differs from those of other indices: Pascal VOC's bit pattern."""
    channels = [0, 0, 0]
    number = index + 1
    for bit in range(7, -1, -1):
        for channel in range(3):
            channels[channel] |= (number >> channel & 1) << bit
        number >>= 3
    return (channels[0], channels[1], channels[2])


def _files(root: Path, pattern: str, key: str) -> list[Path]:
    files = sorted(file for file in root.glob(pattern) if file.is_file())
    if not files:
        raise UserError(f"no file matches {pattern!r} in {root}; correct dataset.folder.{key}")
    return files


def _split(
    root: Path, splits: Sequence[str], config: Config, images: dict[str, Path]
) -> dict[str, set[str]]:
    rule = {"list": config.list, "share": config.share, "glob": config.glob}[config.split]
    for split in splits:
        if split not in rule:
            there = ", ".join(rule) or "nothing"
            raise UserError(
                f"dataset.folder.{config.split} has {there}, not {split!r}; add it, or take it "
                "out of dataset.splits"
            )
    if config.split == "share":
        return _by_share(config, sorted(images))
    if config.split == "glob":
        named = {file: stem for stem, file in images.items()}
        found = {split: [f for f in root.glob(rule[split]) if f in named] for split in splits}
        return {split: {named[file] for file in files} for split, files in found.items()}
    return {split: _by_list(root / rule[split], config, images) for split in splits}


def _by_share(config: Config, stems: list[str]) -> dict[str, set[str]]:
    total = sum(config.share.values())
    if min(config.share.values()) <= 0 or total > 1 + 1e-6:
        raise UserError(f"dataset.folder.share adds up to {total:g}; shares are > 0, together <= 1")
    order = np.random.default_rng(config.seed).permutation(len(stems))
    parts, start, reached = {}, 0, 0.0
    for split, share in config.share.items():
        reached += share
        stop = round(reached * len(stems))
        parts[split] = {stems[i] for i in order[start:stop]}
        start = stop
    return parts


def _by_list(path: Path, config: Config, images: dict[str, Path]) -> set[str]:
    if not path.is_file():
        raise UserError(f"{path} is missing; dataset.folder.list names it")
    stems = set()
    for line in path.read_text(encoding="utf-8").split("\n"):
        name = line.strip()
        if not name:
            continue
        stem = name if name in images else Path(name).stem.removesuffix(config.image_suffix)
        if stem not in images:
            raise UserError(f"{path} lists {name!r}, which is no image of {config.images}")
        stems.add(stem)
    return stems
