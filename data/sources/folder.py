"""The user's own images and masks: two globs, a class table and a rule for the splits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from data.sources.decode import read_orientation, read_size
from data.sources.files import RawPair, by_stem, glob_files, match, require_folder
from data.sources.masks.classes import (
    KNOWN,
    Labels,
    by_color,
    by_suffix,
    color_table,
    meaning,
)
from data.sources.masks.classes import class_table as class_table
from data.sources.masks.encodings import read_by_color, read_ids
from data.sources.masks.parts import pair_parts, read_parts, rest_of
from data.sources.splits import by_group, by_list, by_share, group_of
from data.stage.errors import UserError

LICENCE = "your own images: nothing is known of their licence"


class Config(Labels):
    """Where images and masks are, which mask belongs to which image, classes and splits.

    A file that `masks` matches is never an image. A mask belongs to the image of the same stem
    (file name without folder and extension), after `image_suffix` and `mask_suffix` are taken off
    the ends of the stems; where images and masks both repeat stems in several folders, of the same
    path below the patterns' fixed parts. Mask values are ids in one channel (0/255 masks too) when
    class values are numbers, and what the masks show when they are triples: see
    `masks.encodings`. `unlabelled` values that are no class become the class `void`, which is then
    appended and does not count in mIoU. Masks of one class each: see `masks.parts`; `pairing` by
    `number` is for masks that are named by tasks.

    Splits are by `list` (text files under the root, one stem a line), by `share` (seeded; shares of
    all pairs), by `glob` (one image glob per split) or by `group`: `group_by` is `parent` (the
    image's folder) or a regular expression with one group in parentheses, searched in the image's
    path without extension; whole groups then go to one split, near the shares of `share`.
    """

    images: str
    masks: str
    image_suffix: str = ""
    mask_suffix: str = ""
    pairing: Literal["stem", "number"] = "stem"
    split: Literal["list", "share", "glob", "group"] = "share"
    list: dict[str, str] = Field(default_factory=dict)
    share: dict[str, float] = Field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    glob: dict[str, str] = Field(default_factory=dict)
    group_by: str | None = None
    seed: int = Field(0, ge=0)


def prepare(
    root: Path, splits: Sequence[str], config: Config, size: tuple[int, int], scratch: Path
) -> Path:
    """Return the folder to read: the root itself, nothing has to be made."""
    return root


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits by the rules of `Config`; ids are paths under the root."""
    class_table(config)  # says what is wrong with the classes before files are looked for
    require_folder(root, "your images and masks")
    parts_of = {}
    if by_suffix(config):
        class_table(
            config
        )  # complains of suffixes that are no good before files are sorted by them
        files = files_of(root, config.images, config.masks)
        found = pair_parts(*files, config, config.image_suffix, config.pairing)
        matched = [(key, image, masks[0][1]) for key, image, masks in found]
        parts_of = {key: masks for key, _, masks in found}
    else:
        suffixes = config.image_suffix, config.mask_suffix
        matched = pair_files(root, config.images, config.masks, *suffixes)
    images = {key: image for key, image, _ in matched}
    groups = {}
    if config.group_by is not None:
        groups = {
            key: group_of(image.relative_to(root), config.group_by, config.image_suffix)
            for key, image in images.items()
        }
    parts = _split(root, splits, config, images, groups)
    pairs = []
    for split in splits:
        for key, image, mask in matched:
            if key in parts[split]:
                name = image.relative_to(root).with_suffix("").as_posix().replace("/", "-")
                pair = RawPair(name, split, image, mask, group=groups.get(key, ""))
                pairs.append(_with_parts(pair, config, parts_of.get(key, ())))
    return pairs


def _with_parts(pair: RawPair, config: Config, parts: Sequence[tuple[int, Path]]) -> RawPair:
    if not parts:
        return replace(pair, by_color=by_color(config))
    layers, files = zip(*parts, strict=True)
    return replace(pair, parts=files, layers=layers, rest=rest_of(config), by_color=True)


def pair_files(
    root: Path, images: str, masks: str, image_suffix: str, mask_suffix: str
) -> list[tuple[str, Path, Path]]:
    """Return (key, image, mask) of all pairs by the rules of `Config`, sorted by key."""
    image_files, mask_files = files_of(root, images, masks)
    repeat = _repeats(image_files, image_suffix) and _repeats(mask_files, mask_suffix)
    below = [root / fixed_part(pattern) if repeat else None for pattern in (images, masks)]
    return match(
        by_stem(image_files, image_suffix, below[0]),
        by_stem(mask_files, mask_suffix, below[1]),
        f"{masks} (see dataset.folder.mask_suffix)",
    )


def files_of(root: Path, images: str, masks: str) -> tuple[list[Path], list[Path]]:
    """Return the files of images and of masks; a file that is a mask is no image."""
    mask_files = glob_files(root, masks, "dataset.folder.masks")
    taken = set(mask_files)
    found = glob_files(root, images, "dataset.folder.images")
    image_files = [file for file in found if file not in taken]
    if not image_files:
        raise UserError(
            f"every file that {images!r} matches in {root} is a mask of {masks!r} too; correct "
            "dataset.folder.images or dataset.folder.masks"
        )
    return image_files, mask_files


def fixed_part(pattern: str) -> Path:
    """Return the folders of a pattern that come before its first wildcard."""
    parts = Path(pattern).parts[:-1]
    wild = [index for index, part in enumerate(parts) if any(c in part for c in "*?[")]
    return Path(*parts[: wild[0] if wild else len(parts)])


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a mask as class ids uint8 [H, W]; unlabelled values become `void`.

    Raises `UserError` when the image is turned by its EXIF orientation, and the mask is not or
    cannot be told to be, when a palette contradicts the colours of the classes, and for values
    without a class.
    """
    if pair.parts:
        label = read_parts(pair)
    elif by_color(config):
        label = read_by_color(pair.label, color_table(config), KNOWN)
    else:
        label = read_ids(pair.label, meaning(config))
    check_turned(pair.image, pair.label, label.shape)
    return label


def check_turned(image: Path, mask: Path, shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless an image lies as its mask of shape (H, W) does, once upright.

    Cameras note how they were held; the picture is then turned when it is read. Masks rarely say
    so: one drawn on the turned picture has its size, one drawn on the pixels as stored does not.
    Where both sizes are equal (half turns, mirror images, squares) nothing tells them apart.
    """
    turned = read_orientation(image)
    if turned == 1 or read_orientation(mask) != 1:
        return
    width, height = read_size(image)
    fix = "save the image without the orientation tag, lying as its mask does"
    if turned < 5 or width == height:
        raise UserError(
            f"{image} is turned by its EXIF orientation ({turned}), and its size does not tell "
            f"whether {mask} was drawn before or after turning; {fix}"
        )
    if shape == (width, height):
        raise UserError(
            f"{image} is {width}x{height} once turned by its EXIF orientation ({turned}), but "
            f"{mask} is {height}x{width}, drawn on the picture as it is stored; {fix}"
        )


def _repeats(files: Sequence[Path], suffix: str) -> bool:
    return len({file.stem.removesuffix(suffix) for file in files}) < len(files)


def _split(
    root: Path,
    splits: Sequence[str],
    config: Config,
    images: Mapping[str, Path],
    groups: Mapping[str, str],
) -> dict[str, set[str]]:
    key = "share" if config.split == "group" else config.split
    rule = {"list": config.list, "share": config.share, "glob": config.glob}[key]
    for split in splits:
        if split not in rule:
            there = ", ".join(rule) or "nothing"
            raise UserError(
                f"dataset.folder.{key} has {there}, not {split!r}; add it, or take it out of "
                "dataset.splits"
            )
    if config.split == "share":
        return by_share(sorted(images), config.share, config.seed)
    if config.split == "group":
        if not groups:
            raise UserError(
                "dataset.folder.split is group, but dataset.folder.group_by is not set; write "
                "`parent`, or a pattern with one group in parentheses"
            )
        return by_group(groups, config.share, config.seed)
    if config.split == "glob":
        named = {file: key for key, file in images.items()}
        where = "dataset.folder.glob.{}".format
        found = {split: glob_files(root, rule[split], where(split)) for split in splits}
        return {split: {named[f] for f in files if f in named} for split, files in found.items()}
    written = {image.relative_to(root).as_posix(): key for key, image in images.items()}
    if not _repeats(list(images.values()), ""):
        written |= {image.stem: key for key, image in images.items()}
    written |= {key: key for key in images}
    return {split: by_list(root / rule[split], written, config.images) for split in splits}
