"""The user's own images and masks: two globs, a class table and a rule for the splits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from data.sources.decode import read_orientation, read_size
from data.sources.files import RawPair, as_it_is, glob_files, require_folder
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
from data.sources.masks.parts import Part, ending_in, pair_parts, read_parts, rest_of
from data.sources.reading.alpha import Alpha
from data.sources.reading.pairing import keyed, list_files, looked_in, matched, repeats
from data.sources.reading.walk import nfc, slashed
from data.sources.splits import by_group, by_list, by_share, group_of
from data.stage.errors import UserError

LICENCE = "your own images: nothing is known of their licence"


class Config(Labels):
    """Where images and masks are, which mask belongs to which image, classes and splits.

    A file that `masks` matches is never an image. A mask belongs to the image of the same stem
    (file name without folder and extension), after `image_suffix` and `mask_suffix` are taken off
    the ends of the stems; where images and masks both repeat stems in several folders, of the same
    folders too: those that the patterns' wildcards stand for. Names that differ in case alone
    belong together where no others do. Mask values are ids in one channel (0/255 masks too) when
    class values are numbers, and what the masks show when they are triples: see
    `masks.encodings`. `unlabelled` values that are not a class become the class `void`, which is
    then appended and does not count in mIoU. Masks of one class each: see `masks.parts`;
    `pairing` by `number` is for masks that are named by tasks.

    `alpha` says what becomes of the alpha channel of an image: `ignore` keeps the colours as they
    are stored, `black` and `white` lay the image on that.

    `only` is a text file under the root that names the images to read, one stem a line; others, and
    those that no list or glob names, need no mask.

    Splits are by `list` (text files as `only`), by `share` (seeded; shares of
    all pairs), by `glob` (one image glob per split) or by `group`: `group_by` is `parent` (the
    image's folder) or a regular expression with one group in parentheses, searched in the image's
    path without extension; whole groups then go to one split, near the shares of `share`.
    """

    images: str
    masks: str
    image_suffix: str = ""
    mask_suffix: str = ""
    pairing: Literal["stem", "number"] = "stem"
    alpha: Alpha = "ignore"
    only: str | None = None
    split: Literal["list", "share", "glob", "group"] = "share"
    list: dict[str, str] = Field(default_factory=dict)
    share: dict[str, float] = Field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    glob: dict[str, str] = Field(default_factory=dict)
    group_by: str | None = None
    seed: int = Field(default=0, ge=0)


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits by the rules of `Config`; ids are paths under the root."""
    class_table(config)  # says what is wrong with the classes before files are looked for
    require_folder(root, "your images and masks")
    files = list_files(root, config.images, config.masks)
    images, masks = keyed(*files, config.image_suffix, config.mask_suffix)
    where, parts_of = looked_in(config.masks), {}
    if by_suffix(config):
        where = ending_in(config.masks)
        parts_of = pair_parts(images, masks, config, config.pairing)
        masks = {key: files[0].path for key, files in parts_of.items()}
    if config.only is not None:
        chosen = by_list(
            root / slashed(config.only, root), names_of(root, images), config.images, "only"
        )
        images = {key: image for key, image in images.items() if key in chosen}
    groups = {}
    if config.group_by is not None:
        groups = {
            key: group_of(image.relative_to(root), config.group_by, config.image_suffix)
            for key, image in images.items()
        }
    parts = _split(root, splits, config, images, groups)
    named = config.only is not None or config.split in ("list", "glob")
    asked = set().union(*parts.values()) if named else None
    found = matched(images, masks, where, asked)
    pairs = []
    for split in splits:
        for key, image, mask in found:
            if key in parts[split]:
                name = nfc(image.relative_to(root).with_suffix("").as_posix()).replace("/", "-")
                pair = RawPair(name, split, image, mask, group=groups.get(key, ""))
                pairs.append(_as_read(pair, config, parts_of.get(key, ())))
    return pairs


def _as_read(pair: RawPair, config: Config, parts: Sequence[Part]) -> RawPair:
    """Return a pair with how its files are read."""
    pair = replace(pair, alpha=config.alpha, by_color=by_color(config))
    if not parts:
        return pair
    return replace(
        pair,
        parts=tuple(part.path for part in parts),
        layers=tuple(part.number for part in parts),
        rest=rest_of(config),
        by_color=True,
    )


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
    written = names_of(root, images)
    lists = {split: root / slashed(rule[split], root) for split in splits}
    return {split: by_list(lists[split], written, config.images) for split in splits}


def names_of(root: Path, images: Mapping[str, Path]) -> dict[str, str]:
    """Return all that a list may write of images, in NFC -> their keys."""
    written = {}
    for key, image in images.items():
        path = image.relative_to(root)
        written |= {nfc(name.as_posix()): key for name in (path.with_suffix(""), path)}
    if not repeats(list(images.values()), ""):
        written |= {nfc(image.stem): key for key, image in images.items()}
    return written | {key: key for key in images}
