"""IDD, semantic segmentation: leftImg8bit/ and gtFine/ with the 40 `id` labels of AutoNUE.

Names, ids, colours and which classes count (`ignoreInEval`) are those of helpers/anue_labels.py in
AutoNUE/public-code. Frames are cropped from 16:9 to 2:1 as Semantic Palette does: anywhere in
train, at the top in val.

Known traps:

* The release has polygons (*_gtFine_polygons.json) and no label images; createLabels.py of AutoNUE
  draws them beside the polygons. Without `--id-type id` it draws another numbering, 26 classes and
  255, as *_labellevel3Ids.png; only *_labelids.png is read (with a small i).
* Frames of different drives have the same name: the id of a pair is DRIVE_FRAME, as in AutoNUE's
  panoptic files.
* The frames of the first part are PNG, those of the second JPEG.
* Most frames are 1920x1080, some 1280x720 or another size: the crop goes by aspect, not by pixels.
* Where the crop lies is drawn from seed and pair id, so that a pair is cut the same in every run,
  whatever other pairs there are.
* The labels of `test` are withheld, it has not even polygons.
* A drive is one video: `RawPair.group` is the drive.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.files import IMAGES, RawPair, as_it_is, by_stem, listed, match, require_folder
from data.sources.masks.encodings import published, read_ids
from data.stage.errors import UserError
from data.stage.params import Params

LICENCE = "IDD: research data, registration needed, no redistribution; see idd.insaan.iiit.ac.in"
UNLABELED = 35
CROP = 1  # name of the draw of a training pair's place
_IMAGE, _LABEL = "_leftImg8bit", "_gtFine_labelids"
_TOOL = "AutoNUE's preperation/createLabels.py --id-type id"

# name, colour, counts in mIoU: 31 of 40.
_CLASSES = (
    ("road", (128, 64, 128), True),
    ("parking", (250, 170, 160), True),
    ("drivable fallback", (81, 0, 81), True),
    ("sidewalk", (244, 35, 232), True),
    ("rail track", (230, 150, 140), True),
    ("non-drivable fallback", (152, 251, 152), True),
    ("person", (220, 20, 60), True),
    ("animal", (246, 198, 145), False),
    ("rider", (255, 0, 0), True),
    ("motorcycle", (0, 0, 230), True),
    ("bicycle", (119, 11, 32), True),
    ("autorickshaw", (255, 204, 54), True),
    ("car", (0, 0, 142), True),
    ("truck", (0, 0, 70), True),
    ("bus", (0, 60, 100), True),
    ("caravan", (0, 0, 90), False),
    ("trailer", (0, 0, 110), False),
    ("train", (0, 80, 100), False),
    ("vehicle fallback", (136, 143, 153), True),
    ("curb", (220, 190, 40), True),
    ("wall", (102, 102, 156), True),
    ("fence", (190, 153, 153), True),
    ("guard rail", (180, 165, 180), True),
    ("billboard", (174, 64, 67), True),
    ("traffic sign", (220, 220, 0), True),
    ("traffic light", (250, 170, 30), True),
    ("pole", (153, 153, 153), True),
    ("polegroup", (153, 153, 153), True),
    ("obs-str-bar-fallback", (169, 187, 214), True),
    ("building", (70, 70, 70), True),
    ("bridge", (150, 100, 100), True),
    ("tunnel", (150, 120, 90), True),
    ("vegetation", (107, 142, 35), True),
    ("sky", (70, 130, 180), True),
    ("fallback background", (169, 187, 214), True),
    ("unlabeled", (0, 0, 0), False),
    ("ego vehicle", (0, 0, 0), False),
    ("rectification border", (0, 0, 0), False),
    ("out of roi", (0, 0, 0), False),
    ("license plate", (0, 0, 142), False),
)
_TABLE = {value: value for value in range(len(_CLASSES))} | {255: UNLABELED}


class Config(Params):
    """Width by height that is kept of every frame, null for all of it; seed of the crops."""

    aspect: float | None = Field(default=2.0, gt=0, le=100)
    seed: int = Field(default=0, ge=0)


def class_table(config: Config) -> ClassTable:
    """Return the 40 classes by their AutoNUE id."""
    return ClassTable(tuple(ClassInfo(*entry) for entry in _CLASSES))


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits: leftImg8bit/SPLIT/DRIVE and gtFine/SPLIT/DRIVE under root."""
    pairs = []
    for split in splits:
        holds = "leftImg8bit/ and gtFine/"
        require_folder(root / "leftImg8bit", holds)
        require_folder(root / "gtFine", holds)
        image_folder = require_folder(root / "leftImg8bit" / split, holds)
        label_folder = require_folder(root / "gtFine" / split, holds)
        images = listed(image_folder, f"*/*{_IMAGE}.*", IMAGES)
        labels = listed(label_folder, f"*/*{_LABEL}.png")
        if not images:
            raise UserError(f"{image_folder} has no DRIVE/*{_IMAGE}.png or .jpg; unpack IDD here")
        if not labels:
            raise UserError(_no_labels(label_folder))
        looked_in = f"{label_folder} (DRIVE/*{_LABEL}.png, drawn by {_TOOL})"
        matched = match(_by_drive(images, _IMAGE), _by_drive(labels, _LABEL), looked_in)
        pairs += [_pair(split, name, image, label, config) for name, image, label in matched]
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a *_labelids.png as class ids uint8 [H, W], not cropped; 255 becomes 35, unlabeled."""
    known = f"AutoNUE ids are 0 to 39, and 255; draw the labels with {_TOOL}"
    return read_ids(pair.label, published(class_table(config).classes, _TABLE, known))


def _by_drive(files: Sequence[Path], end: str) -> dict[str, Path]:
    """Return DRIVE_FRAME -> file."""
    drives: dict[str, list[Path]] = {}
    for file in files:
        drives.setdefault(file.parent.name, []).append(file)
    return {
        f"{drive}_{frame}": file
        for drive, frames in drives.items()
        for frame, file in by_stem(frames, end).items()
    }


def _pair(split: str, name: str, image: Path, label: Path, config: Config) -> RawPair:
    place = 0.0
    if split == "train" and config.aspect is not None:
        key = [config.seed, CROP, zlib.crc32(name.encode())]
        place = float(np.random.default_rng(np.random.SeedSequence(key)).random())
    drive = image.parent.name
    return RawPair(name, split, image, label, aspect=config.aspect, place=place, group=drive)


def _no_labels(folder: Path) -> str:
    there = "has none either"
    if any(folder.glob("*/*_gtFine_polygons.json")):
        there = "has polygons, as released"
    if any(folder.glob("*/*_gtFine_labellevel3Ids.png")):
        there = "has *_labellevel3Ids.png, another numbering"
    return f"{folder} has no DRIVE/*{_LABEL}.png; it {there}; draw them with {_TOOL}"
