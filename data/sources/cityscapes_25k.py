"""Cityscapes with its extra images: fine train plus train_extra with published auto-labels.

The labels of train_extra are predictions of NVIDIA's hierarchical multi-scale attention network,
published as refinement_final_v0.zip (PREPARE_DATASETS.md of NVIDIA/semantic-segmentation):
refinement_final/train_extra/CITY/*_leftImg8bit.png, named like the images, with label ids. Which
name and values they have is in that repository's loader and writer (datasets/cityscapes.py and
base_loader.py, utils/misc.py); where Semantic Palette unpacks them is in its README. 2,975 fine and
19,997 extra pairs are what SB-GAN's list of cityscapes_full names; val is fine val.

Known traps:

* Beside every auto-label lies *_leftImg8bit_prob.png, the probability of the prediction times 255:
  no labels. NVIDIA leaves out pixels below 0.5, Semantic Palette keeps them all, as is the default
  here (`min_probability: 0`).
* refinement_final/train_extra/tmp is not a city.
* troisdorf_000000_000073 is broken in the release, a black frame; it has an auto-label.
* Sorted by path, refinement_final comes before or after gtFine by chance of the folder's name:
  pairs are made by stem, fine and extra apart.
* The width of the files differs: 8 bits in the release; Semantic Palette saves them again as 32-bit
  "I" images (PNG: 16 bits). Values count, not widths.
* Auto-labels have only the ids of the 19 classes that count: ego vehicle and the other void-like
  classes occur in the fine part alone, so that palettes are of two kinds.
* SB-GAN's own auto-labels (DRN) are train ids 0 to 18, which would pass for label ids and be wrong:
  ids without a class that counts are refused here.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from data.pairs.classes import ClassTable
from data.sources import cityscapes
from data.sources.files import RawPair, as_it_is, by_stem, listed, read_values, require_folder
from data.sources.masks.encodings import published, read_ids
from data.stage.errors import UserError
from data.stage.params import Params

LICENCE = f"{cityscapes.LICENCE}; auto-labels: NVIDIA, refinement_final_v0.zip"
BROKEN = ("troisdorf_000000_000073",)
_FINE = cityscapes.Config()
_PROBABILITY = f"{cityscapes.IMAGE}_prob"
_TABLE = {value: value for value in (0, *cityscapes.class_table(_FINE).eval_ids)}


class Config(Params):
    """Folder of the auto-labels under the root, and the probability below which they are void.

    Pixels of less than `min_probability` (0 to 1) become class 0, unlabeled; 0 keeps all of them.
    """

    auto_labels: str = "refinement_final"
    min_probability: float = Field(default=0.0, ge=0, le=1)


def class_table(config: Config) -> ClassTable:
    """Return the Cityscapes classes."""
    return cityscapes.class_table(_FINE)


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits as those of Cityscapes; train also has those of train_extra."""
    pairs = cityscapes.find(root, splits, _FINE)
    return pairs + _extra(root, config) if "train" in splits else pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a fine label as Cityscapes does, an auto-label as class ids uint8 [H, W]."""
    if not pair.parts:
        return cityscapes.read_label(pair, _FINE)
    known = (
        "auto-labels are 0 and the label ids of the 19 classes that count, not train ids; take "
        "those of refinement_final_v0.zip"
    )
    label = read_ids(pair.label, published(class_table(config).classes, _TABLE, known))
    if config.min_probability > 0:
        probability = read_values(pair.parts[1])
        if probability.shape != label.shape:
            raise UserError(f"{pair.parts[1]} and {pair.label} differ in size; unpack them again")
        label[probability < 255 * config.min_probability] = 0
    return label


def _extra(root: Path, config: Config) -> list[RawPair]:
    """Return the pairs of train_extra; `parts` are auto-label and, if it is used, probability."""
    holds = f"leftImg8bit/, gtFine/ and {config.auto_labels}/"
    images = cityscapes.find_images(root, "train_extra", holds, "leftImg8bit_trainextra.zip")
    require_folder(root / config.auto_labels, f"{holds} (refinement_final_v0.zip)")
    folder = require_folder(root / config.auto_labels / "train_extra", holds)
    labels = _files(folder, cityscapes.IMAGE)
    for stem in BROKEN:
        images.pop(stem, None)
        labels.pop(stem, None)
    looked_in = f"{folder} (CITY/*{cityscapes.IMAGE}.png)"
    pairs = cityscapes.paired("train", images, labels, looked_in)
    sure = _files(folder, _PROBABILITY) if config.min_probability > 0 else None
    return [_with_parts(pair, sure) for pair in pairs]


def _files(folder: Path, end: str) -> dict[str, Path]:
    return by_stem((f for f in listed(folder, f"*/*{end}.png") if f.parent.name != "tmp"), end)


def _with_parts(pair: RawPair, sure: dict[str, Path] | None) -> RawPair:
    if sure is None:
        return replace(pair, parts=(pair.label,))
    if pair.id not in sure:
        raise UserError(
            f"{pair.label} has no *{_PROBABILITY}.png beside it; add it, or set "
            "dataset.cityscapes_25k.min_probability to 0"
        )
    return replace(pair, parts=(pair.label, sure[pair.id]))
