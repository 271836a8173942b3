"""The user's own images and masks: two globs, a class table and a rule for the splits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from data.sources.decode import read_orientation, read_size
from data.sources.files import RawPair, as_it_is, require_folder
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
from data.sources.reading.dividing import Divided, chosen, divided, grouped, id_of
from data.sources.reading.pairing import keyed, list_files, looked_in, matched
from data.stage.errors import UserError

LICENCE = "your own images: nothing is known of their licence"


class Config(Labels, Divided):
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

    Which images are read and how they are divided: see `reading.dividing`.
    """

    images: str
    masks: str
    image_suffix: str = ""
    mask_suffix: str = ""
    pairing: Literal["stem", "number"] = "stem"


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
    images = chosen(root, config, images, config.images)
    groups = grouped(root, config, images, config.image_suffix)
    parts = divided(root, splits, config, images, groups, config.images)
    asked = set().union(*parts.values()) if config.names_images() else None
    found = matched(images, masks, where, asked)
    pairs = []
    for split in splits:
        for key, image, mask in found:
            if key in parts[split]:
                name = id_of(root, image)
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
