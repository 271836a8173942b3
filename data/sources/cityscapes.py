"""Cityscapes, fine annotations: leftImg8bit/ and gtFine/ with the 35 official label ids.

Known traps:

* Beside CITY/*_gtFine_labelIds.png lie *_instanceIds.png (16 bits: id * 1000 + number) and
  *_color.png; neither is read.
* A licence plate has the id -1, which 8-bit files hold as 255: it is a class, not "unlabelled".
* Train ids (0 to 18) are another numbering with the same small numbers; only label ids are read.
* The labels of `test` are withheld: its files are there, but hold void classes only. `ingest`
  refuses such a split.
* A city is one drive, its neighbouring frames look alike: `RawPair.group` is the city.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.files import RawPair, as_it_is, by_stem, listed, match, require_folder
from data.sources.masks.encodings import published, read_ids
from data.stage.errors import UserError
from data.stage.params import Params

LICENSE_PLATE = 34
IMAGE = "_leftImg8bit"
_LABEL = "_gtFine_labelIds"

LICENCE = "Cityscapes: non-commercial, no redistribution; see cityscapes-dataset.com/license"

# name, colour, counts in mIoU (trainId 0..18): cityscapesScripts, helpers/labels.py.
_CLASSES = (
    ("unlabeled", (0, 0, 0), False),
    ("ego vehicle", (0, 0, 0), False),
    ("rectification border", (0, 0, 0), False),
    ("out of roi", (0, 0, 0), False),
    ("static", (0, 0, 0), False),
    ("dynamic", (111, 74, 0), False),
    ("ground", (81, 0, 81), False),
    ("road", (128, 64, 128), True),
    ("sidewalk", (244, 35, 232), True),
    ("parking", (250, 170, 160), False),
    ("rail track", (230, 150, 140), False),
    ("building", (70, 70, 70), True),
    ("wall", (102, 102, 156), True),
    ("fence", (190, 153, 153), True),
    ("guard rail", (180, 165, 180), False),
    ("bridge", (150, 100, 100), False),
    ("tunnel", (150, 120, 90), False),
    ("pole", (153, 153, 153), True),
    ("polegroup", (153, 153, 153), False),
    ("traffic light", (250, 170, 30), True),
    ("traffic sign", (220, 220, 0), True),
    ("vegetation", (107, 142, 35), True),
    ("terrain", (152, 251, 152), True),
    ("sky", (70, 130, 180), True),
    ("person", (220, 20, 60), True),
    ("rider", (255, 0, 0), True),
    ("car", (0, 0, 142), True),
    ("truck", (0, 0, 70), True),
    ("bus", (0, 60, 100), True),
    ("caravan", (0, 0, 90), False),
    ("trailer", (0, 0, 110), False),
    ("train", (0, 80, 100), True),
    ("motorcycle", (0, 0, 230), True),
    ("bicycle", (119, 11, 32), True),
    ("license plate", (0, 0, 142), False),
)

# Licence plates have the id -1, which 8-bit files hold as 255.
_TABLE = {value: value for value in range(len(_CLASSES))} | {
    -1: LICENSE_PLATE,
    255: LICENSE_PLATE,
}


class Config(Params):
    """Cityscapes has no numbers of its own."""


def class_table(config: Config) -> ClassTable:
    """Return the 35 classes: label ids 0..33, and 34 for licence plates (-1 in the release)."""
    return ClassTable(tuple(ClassInfo(*entry) for entry in _CLASSES))


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits: leftImg8bit/SPLIT/CITY and gtFine/SPLIT/CITY under root."""
    pairs = []
    for split in splits:
        holds = "leftImg8bit/ and gtFine/"
        require_folder(root / "leftImg8bit", holds)
        require_folder(root / "gtFine", holds)
        images = find_images(root, split, holds, "leftImg8bit_trainvaltest.zip")
        folder = require_folder(root / "gtFine" / split, holds)
        labels = by_stem(listed(folder, f"*/*{_LABEL}.png"), _LABEL)
        pairs += paired(split, images, labels, f"{folder} (CITY/*{_LABEL}.png)")
    return pairs


def find_images(root: Path, folder: str, holds: str, archive: str) -> dict[str, Path]:
    """Return stem -> image of leftImg8bit/FOLDER/CITY; a folder without one is a `UserError`."""
    image_folder = require_folder(root / "leftImg8bit" / folder, holds)
    images = by_stem(listed(image_folder, f"*/*{IMAGE}.png"), IMAGE)
    if not images:
        raise UserError(f"{image_folder} has no CITY/*{IMAGE}.png; unpack {archive}")
    return images


def paired(
    split: str, images: Mapping[str, Path], labels: Mapping[str, Path], looked_in: str
) -> list[RawPair]:
    """Match images with labels by stem, whatever their folders sort like; the city is the group."""
    return [
        RawPair(stem, split, image, label, group=image.parent.name)
        for stem, image, label in match(images, labels, looked_in)
    ]


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a *_labelIds.png as class ids uint8 [H, W]; 255 and -1 become 34, license plate."""
    known = "Cityscapes label ids are 0 to 33, -1 and 255"
    return read_ids(pair.label, published(class_table(config).classes, _TABLE, known))
