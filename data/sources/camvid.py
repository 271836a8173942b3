"""CamVid in the SegNet layout: SPLIT/ with images and SPLITannot/ with label ids 0..11.

Known traps:

* 11 is void and no class of SegNet's; the original release has 32 classes as colours instead.
* The 701 frames come from a few videos at a frame a second: neighbours are near-duplicates, and a
  random split would score what was trained on. The split is that of the folders; `RawPair.group`
  is the video, the part of a frame's name before its number (0001TP, 0006R0, 0016E5, Seq05VD).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.files import IMAGES, RawPair, as_it_is, by_stem, listed, match, require_folder
from data.sources.masks.encodings import published, read_ids
from data.stage.errors import UserError
from data.stage.params import Params

# Order of SegNet's 11-class labels; colours of the original 32-class database.
_CLASSES = (
    ("sky", (128, 128, 128), True),
    ("building", (128, 0, 0), True),
    ("pole", (192, 192, 128), True),
    ("road", (128, 64, 128), True),
    ("pavement", (60, 40, 222), True),
    ("tree", (128, 128, 0), True),
    ("sign symbol", (192, 128, 128), True),
    ("fence", (64, 64, 128), True),
    ("car", (64, 0, 128), True),
    ("pedestrian", (64, 64, 0), True),
    ("bicyclist", (0, 128, 192), True),
    ("void", (0, 0, 0), False),
)
LICENCE = "CamVid: research data, non-commercial; cite Brostow et al. 2008 and 2009"
_TABLE = {value: value for value in range(len(_CLASSES))}


class Config(Params):
    """CamVid has no numbers of its own."""


def class_table(config: Config) -> ClassTable:
    """Return the 11 classes that count, and void."""
    return ClassTable(tuple(ClassInfo(*entry) for entry in _CLASSES))


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits: images in root/SPLIT, labels in root/SPLITannot."""
    pairs = []
    for split in splits:
        holds = "train/, trainannot/, val/, valannot/"
        image_folder = require_folder(root / split, holds)
        label_folder = require_folder(root / f"{split}annot", holds)
        images = by_stem(listed(image_folder, "*", IMAGES))
        labels = by_stem(listed(label_folder, "*.png"))
        if not images:
            raise UserError(
                f"{image_folder} has no image ({', '.join(IMAGES)}); unpack CamVid here"
            )
        matched = match(images, labels, f"{label_folder} (*.png)")
        pairs += [
            RawPair(stem, split, image, label, group=stem.partition("_")[0])
            for stem, image, label in matched
        ]
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read an annotation as class ids uint8 [H, W]; 11 is void."""
    known = "CamVid label ids are 0 to 10, and 11 for void"
    return read_ids(pair.label, published(class_table(config).classes, _TABLE, known))
