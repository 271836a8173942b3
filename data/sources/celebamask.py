"""CelebAMask-HQ: faces, with a mask per part that is merged into a label map, or merged maps.

Folders, part names, their order and colours are those of switchablenorms/CelebAMask-HQ
(face_parsing/Data_preprocessing: g_mask.py, g_color.py, g_partition.py): CelebA-HQ-img/N.jpg and
CelebAMask-HQ-mask-anno/K/NNNNN_PART.png, K = N // 2000.

Known traps:

* Images are 1024x1024, masks 512x512: every pixel of a label is repeated to the size of its image
  (`read_label`), nothing is interpolated. Any whole factor will do, a fraction is refused.
* Image names have no leading zeros, mask names have five digits; ids here are the five digits.
* A part that cannot be seen has no file. Masks are 0 and 255, grey or as three equal channels.
* Later parts overwrite earlier ones: hair lies over ears, cloth over neck. Other projects merge in
  another order with other ids (face-parsing.PyTorch: l_brow is 2): such maps have the same values
  and are not told apart; `merged` means maps in the order of g_mask.py.
* Left and right: l_eye, l_brow and l_ear become r_eye, r_brow and r_ear in a mirrored picture, and
  `mirror` says so. But u_lip and l_lip are upper and lower, ear_r is an earring, neck_l a necklace
  and eye_g eyeglasses: they stay.
* The split is CelebA's, through CelebA-HQ-to-CelebA-mapping.txt, which comes with and without a
  header. Its column orig_idx counts from 0, CelebA's partition counts files from 1: the file name
  is what is compared. 24,183 train, 2,993 val, 2,824 test.
* `null` is whatever nobody marked: background, hands, bodies. It is not a part, so it counts
  in mIoU* and not in mIoU; no official evaluation says otherwise. The price: a part that is
  predicted over null costs nothing in mIoU.
* Several faces are of one person, in train and val alike: identities are not in this release.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.files import (
    IMAGES,
    RawPair,
    as_it_is,
    by_stem,
    listed,
    match,
    read_size,
    require_folder,
)
from data.sources.masks.coded import read_shape
from data.sources.masks.encodings import published, read_ids
from data.sources.splits import by_share
from data.stage.errors import UserError
from data.stage.params import Params

LICENCE = "CelebAMask-HQ: non-commercial research, no redistribution"
_FACES, _MASKS = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"
_MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
_LAST = {"train": 162770, "val": 182637, "test": 202599}  # of list_eval_partition.txt

_CLASSES = (
    ClassInfo("null", (0, 0, 0), eval=False),
    ClassInfo("skin", (204, 0, 0)),
    ClassInfo("nose", (76, 153, 0)),
    ClassInfo("eye_g", (204, 204, 0)),
    ClassInfo("l_eye", (51, 51, 255), mirror="r_eye"),
    ClassInfo("r_eye", (204, 0, 204), mirror="l_eye"),
    ClassInfo("l_brow", (0, 255, 255), mirror="r_brow"),
    ClassInfo("r_brow", (255, 204, 204), mirror="l_brow"),
    ClassInfo("l_ear", (102, 51, 0), mirror="r_ear"),
    ClassInfo("r_ear", (255, 0, 0), mirror="l_ear"),
    ClassInfo("mouth", (102, 204, 0)),
    ClassInfo("u_lip", (255, 255, 0)),
    ClassInfo("l_lip", (0, 0, 153)),
    ClassInfo("hair", (0, 0, 204)),
    ClassInfo("hat", (255, 51, 153)),
    ClassInfo("ear_r", (0, 204, 204)),
    ClassInfo("neck_l", (0, 51, 0)),
    ClassInfo("neck", (255, 153, 51)),
    ClassInfo("cloth", (0, 204, 0)),
)
_PARTS = {entry.name: index for index, entry in enumerate(_CLASSES) if index > 0}
_TABLE = {value: value for value in range(len(_CLASSES))} | {255: 0}


class Config(Params):
    """Where labels are and which rule makes the splits.

    `merged` is a folder of N.png label maps with ids 0..18 under the root, null for the masks of
    the parts. Splits are CelebA's own (`celeba`, needs the mapping file) or by `share` of all
    faces, in an order that follows from `seed`.
    """

    merged: str | None = Field(default=None, min_length=1)
    split: Literal["celeba", "share"] = "celeba"
    share: dict[str, float] = Field(default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1})
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _shares_fit(self) -> "Config":
        if min(self.share.values(), default=0) <= 0 or sum(self.share.values()) > 1 + 1e-6:
            raise ValueError("`share` of each split must be above 0, and all together at most 1")
        return self


def class_table(config: Config) -> ClassTable:
    """Return the 19 classes: null, then the parts in the order in which they are painted."""
    return ClassTable(_CLASSES)


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits; ids are five digits. `parts` are the masks, if not merged."""
    labels_in = config.merged or _MASKS
    faces = require_folder(root / _FACES, f"{_FACES}/ and {labels_in}/")
    folder = require_folder(root / labels_in, f"{_FACES}/ and {labels_in}/")
    images = _by_number(listed(faces, "*", IMAGES))
    if not images:
        raise UserError(f"{faces} has no N.jpg; unpack CelebAMask-HQ.zip here")
    parts: dict[str, tuple[Path, ...]] = {}
    if config.merged is None:
        parts = _parts(folder)
        labels = {number: files[0] for number, files in parts.items()}
    else:
        labels = _by_number(listed(folder, "*.png"))
    looked_in = f"{folder} ({'N.png' if config.merged else 'K/NNNNN_PART.png'})"
    matched = match(images, labels, looked_in)
    if config.split == "celeba":
        members = _official(root, images)
    else:
        members = by_share(sorted(images), config.share, config.seed)
    return [
        RawPair(number, split, image, label, parts=parts.get(number, ()))
        for split in splits
        for number, image, label in matched
        if number in members.get(split, ())
    ]


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a face's label as class ids uint8 [H, W] of the size of its image."""
    if pair.parts:
        label = _merged(pair.parts)
    else:
        known = "merged CelebAMask-HQ labels are 0 to 18, and 255 for null"
        label = read_ids(pair.label, published(_CLASSES, _TABLE, known))
    width, height = read_size(pair.image)
    factor = max(1, width // label.shape[1])
    if (height, width) != (label.shape[0] * factor, label.shape[1] * factor):
        return label  # as it is, for the message of the one check of sizes
    return label.repeat(factor, axis=0).repeat(factor, axis=1)


def _merged(parts: Sequence[Path]) -> np.ndarray:
    """Paint masks over each other in their order, uint8 [H, W]; what has no part is 0."""
    label: np.ndarray | None = None
    for path in parts:
        mask = read_shape(path)
        label = np.zeros(mask.shape, np.uint8) if label is None else label
        if mask.shape != label.shape:
            raise UserError(f"{path} and {parts[0]} differ in size; masks of a face have one size")
        label[mask] = _PARTS[path.stem.partition("_")[2]]
    assert label is not None
    return label


def _by_number(files: Iterable[Path]) -> dict[str, Path]:
    """Return five digits -> file, for files named by a number."""
    found: dict[str, Path] = {}
    for stem, file in by_stem(files).items():
        number = _number(stem, file)
        if number in found:
            raise UserError(f"{found[number]} and {file} are the same face twice; remove one")
        found[number] = file
    return found


def _number(digits: str, file: Path) -> str:
    if not (digits.isascii() and digits.isdigit()):
        raise UserError(f"{file} is not named by the number of a face; rename or remove it")
    return f"{int(digits):05d}"


def _parts(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return five digits -> masks in the order in which they are painted."""
    found: dict[str, dict[str, Path]] = {}
    for file in listed(folder, "*/*.png"):
        digits, _, part = file.stem.partition("_")
        if part not in _PARTS:
            raise UserError(
                f"{file} is not the mask of a part; parts: {', '.join(_PARTS)}; rename or remove it"
            )
        masks = found.setdefault(_number(digits, file), {})
        if part in masks:
            raise UserError(f"{masks[part]} and {file} are the same part twice; remove one")
        masks[part] = file
    return {
        number: tuple(masks[part] for part in _PARTS if part in masks)
        for number, masks in found.items()
    }


def _official(root: Path, images: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return split -> five digits of its faces, by CelebA's partition of their originals."""
    path = root / _MAPPING
    if not path.is_file():
        raise UserError(
            f"{path} is missing; it comes with CelebAMask-HQ and makes the official split; add it, "
            "or set dataset.celebamask.split to share"
        )
    originals: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        words = line.split()
        if not words or words[0] == "idx":
            continue
        original = Path(words[2]).stem if len(words) == 3 else ""
        if not (words[0].isdecimal() and original.isdecimal()):
            raise UserError(f"{path} has a line {line.strip()!r}; lines are idx orig_idx orig_file")
        originals[f"{int(words[0]):05d}"] = int(original)
    members: dict[str, set[str]] = {split: set() for split in _LAST}
    for number in images:
        if number not in originals:
            raise UserError(f"{path} has no line for face {int(number)}; replace it")
        members[_partition(originals[number])].add(number)
    return members


def _partition(original: int) -> str:
    return next((split for split, last in _LAST.items() if original <= last), "test")
