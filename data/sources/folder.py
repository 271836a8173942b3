"""The user's own images and masks: two globs, a class table and a rule for the splits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.decode import pack_colors, read_colors, read_orientation, read_size, read_values
from data.sources.files import RawPair, glob_files, require_folder, to_ids
from data.sources.reading.alpha import Alpha
from data.sources.reading.pairing import keyed_files, looked_in, matched, repeats
from data.sources.reading.walk import nfc, slashed
from data.sources.splits import by_group, by_list, by_share, group_of
from data.stage.errors import UserError
from data.stage.params import Params

VOID = "void"
LICENCE = "your own images: nothing is known of their licence"
Channel = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Channel, Channel, Channel]


class FolderClass(Params):
    """One class: its value in the masks (an id, or red green blue), name, colour, and `eval`.

    `mirror` names the class that it becomes in a picture mirrored left to right.
    """

    value: int | Rgb
    name: str
    color: Rgb | None = None
    eval: bool = True
    mirror: str | None = None


class Config(Params):
    """Where images and masks are, which mask belongs to which image, classes and splits.

    A file that `masks` matches is never an image. A mask belongs to the image of the same stem
    (file name without folder and extension), after `image_suffix` and `mask_suffix` are taken off
    the ends of the stems; where images and masks both repeat stems in several folders, of the same
    folders too: those that the patterns' wildcards stand for. Names that differ in case alone
    belong together where no others do. Mask values are ids in one channel (0/255 masks too) when
    class values are numbers, colours when they are triples. `unlabelled` values that are no class
    become the class `void`, which is then appended and does not count in mIoU.

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
    classes: tuple[FolderClass, ...] = Field(min_length=1)
    image_suffix: str = ""
    mask_suffix: str = ""
    unlabelled: tuple[int | Rgb, ...] = (255,)
    alpha: Alpha = "ignore"
    only: str | None = None
    split: Literal["list", "share", "glob", "group"] = "share"
    list: dict[str, str] = Field(default_factory=dict)
    share: dict[str, float] = Field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    glob: dict[str, str] = Field(default_factory=dict)
    group_by: str | None = None
    seed: int = Field(0, ge=0)


def class_table(config: Config) -> ClassTable:
    """Return the configured classes, then `void` when some unlabelled value is no class."""
    _check_values(config)
    classes = [
        ClassInfo(entry.name, entry.color or _color(index), entry.eval, entry.mirror)
        for index, entry in enumerate(config.classes)
    ]
    own = next((entry for entry in config.classes if entry.name == VOID), None)
    if _void_values(config) and own is None:
        classes.append(ClassInfo(VOID, (0, 0, 0), False))
    elif _void_values(config) and own.eval:
        raise UserError(
            f"unlabelled pixels become the class {VOID!r}, which counts in mIoU here; give it "
            "`eval: false`, call it something else, or set dataset.folder.unlabelled to []"
        )
    return ClassTable(tuple(classes))


def prepare(
    root: Path, splits: Sequence[str], config: Config, size: tuple[int, int], scratch: Path
) -> Path:
    """Return the folder to read: the root itself, nothing has to be made."""
    return root


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits by the rules of `Config`; ids are paths under the root."""
    require_folder(root, "your images and masks")
    images, masks = keyed_files(
        root, config.images, config.masks, config.image_suffix, config.mask_suffix
    )
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
    found = matched(images, masks, looked_in(config.masks), asked)
    pairs = []
    for split in splits:
        for key, image, mask in found:
            if key in parts[split]:
                name = nfc(image.relative_to(root).with_suffix("").as_posix()).replace("/", "-")
                pairs.append(
                    RawPair(name, split, image, mask, group=groups.get(key, ""), alpha=config.alpha)
                )
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a mask as class ids uint8 [H, W]; unlabelled values become `void`.

    Raises `UserError` when the image is turned by its EXIF orientation, and the mask is not or
    cannot be told to be.
    """
    coded = isinstance(config.classes[0].value, tuple)
    ids = {_key(entry.value): index for index, entry in enumerate(config.classes)}
    names = [entry.name for entry in config.classes]
    void = names.index(VOID) if VOID in names else len(names)
    table = {_key(value): void for value in _void_values(config)} | ids
    known = "add the value to dataset.folder.classes or to dataset.folder.unlabelled"
    values = pack_colors(read_colors(pair.label)) if coded else read_values(pair.label)
    check_turned(pair.image, pair.label, values.shape)
    return to_ids(values, table, pair.label, known, show=show_color if coded else str)


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


def show_color(key: int) -> str:
    """Return a packed colour as words for a message."""
    return f"rgb({key >> 16}, {key >> 8 & 255}, {key & 255})"


def _key(value: int | Rgb) -> int:
    """Return one number for a mask value: an id is itself, a colour its 24 bits."""
    if isinstance(value, int):
        return value
    return (value[0] << 16) + (value[1] << 8) + value[2]


def _check_values(config: Config) -> None:
    values = [entry.value for entry in config.classes]
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
