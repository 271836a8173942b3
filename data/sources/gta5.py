"""GTA-5 ("Playing for Data"): images/ and labels/ of rendered streets, Cityscapes' label ids.

Known traps:

* All pairs lie in one folder; split.mat says which numbers are train, val and test (`trainIds`,
  `valIds`, `testIds`, counted from 1). Without it papers train on all: there is no official list.
* Labels are indexed PNGs whose palette differs from Cityscapes' in classes that do not count;
  the index is the class. 34 is the licence plate, as here.
* Some images of the release are said to have no partner or another size; `ingest` names them.
* Frames were captured along drives, and their numbers do not say which: no group is known, and
  neighbours of one drive may be in two splits (`ingest` warns of those that look alike).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.pairs.classes import ClassTable
from data.sources import cityscapes
from data.sources.files import RawPair, as_it_is, by_stem, listed, match, require_folder
from data.sources.masks.encodings import published, read_ids
from data.sources.reading.walk import permitted
from data.stage.errors import UserError, some
from data.stage.params import Params

LICENCE = "GTA-5: research and education, non-commercial; cite Richter et al. 2016"
SPLIT_FILE = "split.mat"
_KEYS = {"train": "trainIds", "val": "valIds", "test": "testIds"}
_TABLE = {value: value for value in range(35)}


class Config(Params):
    """GTA-5 has no numbers of its own."""


def class_table(config: Config) -> ClassTable:
    """Return the 35 classes of Cityscapes."""
    return cityscapes.class_table(cityscapes.Config())


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits: images/NUMBER.png and labels/NUMBER.png under root."""
    holds = "images/, labels/ and split.mat"
    folders = [require_folder(root / name, holds) for name in ("images", "labels")]
    images, labels = (by_stem(listed(folder, "*.png")) for folder in folders)
    if not images:
        raise UserError(f"{folders[0]} has no NUMBER.png; unpack 01_images.zip to 10_images.zip")
    numbers = _numbers(root / SPLIT_FILE, splits)
    named = {split: [f"{number:05d}" for number in numbers[split]] for split in splits}
    absent = [stem for stems in named.values() for stem in stems if stem not in images]
    if absent:
        raise UserError(
            f"{root / SPLIT_FILE} names {len(absent)} images that {folders[0]} has not: "
            f"{some(absent)}; unpack all ten archives"
        )
    pairs = []
    for split in splits:
        chosen = {stem: images[stem] for stem in named[split]}
        there = {stem: label for stem, label in labels.items() if stem in chosen}
        found = match(chosen, there, f"{folders[1]} (*.png)")
        pairs += [RawPair(stem, split, image, label) for stem, image, label in found]
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a label as class ids uint8 [H, W]: the indices of the file."""
    known = "GTA-5 label ids are 0 to 34"
    return read_ids(pair.label, published(class_table(config).classes, _TABLE, known))


def _numbers(path: Path, splits: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of the images of each split."""
    from scipy.io import loadmat

    if not path.is_file():
        raise UserError(f"{path} is missing; it comes with the code of the dataset's page")
    keys = [_KEYS[split] for split in splits]
    try:
        with permitted():
            content = loadmat(path, variable_names=keys)
        return {
            split: sorted(int(number) for number in np.ravel(content[key]))
            for split, key in zip(splits, keys, strict=True)
        }
    except UserError:
        raise
    except Exception as error:  # a parser of hostile bytes raises whatever its arithmetic raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path} is not readable as a MATLAB file with {', '.join(keys)} ({reason}); "
            "download it again"
        ) from None
