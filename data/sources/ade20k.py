"""ADE20K as in the scene parsing challenge of 2016: ADEChallengeData2016/, 150 classes.

Names and their order are those of objectInfo150.txt (of several synonyms the first), colours those
of the benchmark's color150.mat, both as MMSegmentation's ADE20KDataset lists them.

Known traps:

* Annotations hold 0 for "other" and 1 to 150 for the classes. Here ids are the values of the files:
  class 0 is `other` and does not count. MMSegmentation (reduce_zero_label) and SPADE shift by one.
* Folders are training and validation, file names ADE_train_ and ADE_val_; labels of the test images
  are withheld.
* Images are JPEG, some of them grey; sizes and aspects differ from image to image, and all are
  brought to one size.
* Scenes (`scenes`) are the second word of every line of sceneCategories.txt. SB-GAN's "ADE-Indoor"
  is ten of them: 4,377 pairs of train and 433 of val in its lists. Its label files have 95 ids,
  whose names were not published: here the classes stay 150.
* Lists (`only`) choose by name, one a line, what no file of the download tells: "ADE-Indoor" as
  SB-GAN has it, and the outdoor scenes of SIMS (Qi et al. 2018), on which SPADE and its successors
  report "ADE20K-outdoor": 9,649 pairs of train and 943 of val.
* The full ADE20K release has another layout (a folder per scene, *_seg.png in colours) and is not
  read here.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.files import IMAGES, RawPair, as_it_is, by_stem, listed, match, require_folder
from data.sources.masks.encodings import published, read_ids
from data.sources.reading.dividing import section
from data.sources.reading.walk import slashed
from data.sources.splits import by_list
from data.stage.errors import UserError
from data.stage.params import Params

LICENCE = "ADE20K: images non-commercial research and education; annotations BSD 3-Clause"
_FOLDERS = {"train": "training", "val": "validation"}
_SCENES = "sceneCategories.txt"

_CLASSES = (
    ("other", (0, 0, 0)),
    ("wall", (120, 120, 120)),
    ("building", (180, 120, 120)),
    ("sky", (6, 230, 230)),
    ("floor", (80, 50, 50)),
    ("tree", (4, 200, 3)),
    ("ceiling", (120, 120, 80)),
    ("road", (140, 140, 140)),
    ("bed", (204, 5, 255)),
    ("windowpane", (230, 230, 230)),
    ("grass", (4, 250, 7)),
    ("cabinet", (224, 5, 255)),
    ("sidewalk", (235, 255, 7)),
    ("person", (150, 5, 61)),
    ("earth", (120, 120, 70)),
    ("door", (8, 255, 51)),
    ("table", (255, 6, 82)),
    ("mountain", (143, 255, 140)),
    ("plant", (204, 255, 4)),
    ("curtain", (255, 51, 7)),
    ("chair", (204, 70, 3)),
    ("car", (0, 102, 200)),
    ("water", (61, 230, 250)),
    ("painting", (255, 6, 51)),
    ("sofa", (11, 102, 255)),
    ("shelf", (255, 7, 71)),
    ("house", (255, 9, 224)),
    ("sea", (9, 7, 230)),
    ("mirror", (220, 220, 220)),
    ("rug", (255, 9, 92)),
    ("field", (112, 9, 255)),
    ("armchair", (8, 255, 214)),
    ("seat", (7, 255, 224)),
    ("fence", (255, 184, 6)),
    ("desk", (10, 255, 71)),
    ("rock", (255, 41, 10)),
    ("wardrobe", (7, 255, 255)),
    ("lamp", (224, 255, 8)),
    ("bathtub", (102, 8, 255)),
    ("railing", (255, 61, 6)),
    ("cushion", (255, 194, 7)),
    ("base", (255, 122, 8)),
    ("box", (0, 255, 20)),
    ("column", (255, 8, 41)),
    ("signboard", (255, 5, 153)),
    ("chest of drawers", (6, 51, 255)),
    ("counter", (235, 12, 255)),
    ("sand", (160, 150, 20)),
    ("sink", (0, 163, 255)),
    ("skyscraper", (140, 140, 140)),
    ("fireplace", (250, 10, 15)),
    ("refrigerator", (20, 255, 0)),
    ("grandstand", (31, 255, 0)),
    ("path", (255, 31, 0)),
    ("stairs", (255, 224, 0)),
    ("runway", (153, 255, 0)),
    ("case", (0, 0, 255)),
    ("pool table", (255, 71, 0)),
    ("pillow", (0, 235, 255)),
    ("screen door", (0, 173, 255)),
    ("stairway", (31, 0, 255)),
    ("river", (11, 200, 200)),
    ("bridge", (255, 82, 0)),
    ("bookcase", (0, 255, 245)),
    ("blind", (0, 61, 255)),
    ("coffee table", (0, 255, 112)),
    ("toilet", (0, 255, 133)),
    ("flower", (255, 0, 0)),
    ("book", (255, 163, 0)),
    ("hill", (255, 102, 0)),
    ("bench", (194, 255, 0)),
    ("countertop", (0, 143, 255)),
    ("stove", (51, 255, 0)),
    ("palm", (0, 82, 255)),
    ("kitchen island", (0, 255, 41)),
    ("computer", (0, 255, 173)),
    ("swivel chair", (10, 0, 255)),
    ("boat", (173, 255, 0)),
    ("bar", (0, 255, 153)),
    ("arcade machine", (255, 92, 0)),
    ("hovel", (255, 0, 255)),
    ("bus", (255, 0, 245)),
    ("towel", (255, 0, 102)),
    ("light", (255, 173, 0)),
    ("truck", (255, 0, 20)),
    ("tower", (255, 184, 184)),
    ("chandelier", (0, 31, 255)),
    ("awning", (0, 255, 61)),
    ("streetlight", (0, 71, 255)),
    ("booth", (255, 0, 204)),
    ("television receiver", (0, 255, 194)),
    ("airplane", (0, 255, 82)),
    ("dirt track", (0, 10, 255)),
    ("apparel", (0, 112, 255)),
    ("pole", (51, 0, 255)),
    ("land", (0, 194, 255)),
    ("bannister", (0, 122, 255)),
    ("escalator", (0, 255, 163)),
    ("ottoman", (255, 153, 0)),
    ("bottle", (0, 255, 10)),
    ("buffet", (255, 112, 0)),
    ("poster", (143, 255, 0)),
    ("stage", (82, 0, 255)),
    ("van", (163, 255, 0)),
    ("ship", (255, 235, 0)),
    ("fountain", (8, 184, 170)),
    ("conveyer belt", (133, 0, 255)),
    ("canopy", (0, 255, 92)),
    ("washer", (184, 0, 255)),
    ("plaything", (255, 0, 31)),
    ("swimming pool", (0, 184, 255)),
    ("stool", (0, 214, 255)),
    ("barrel", (255, 0, 112)),
    ("basket", (92, 255, 0)),
    ("waterfall", (0, 224, 255)),
    ("tent", (112, 224, 255)),
    ("bag", (70, 184, 160)),
    ("minibike", (163, 0, 255)),
    ("cradle", (153, 0, 255)),
    ("oven", (71, 255, 0)),
    ("ball", (255, 0, 163)),
    ("food", (255, 204, 0)),
    ("step", (255, 0, 143)),
    ("tank", (0, 255, 235)),
    ("trade name", (133, 255, 0)),
    ("microwave", (255, 0, 235)),
    ("pot", (245, 0, 255)),
    ("animal", (255, 0, 122)),
    ("bicycle", (255, 245, 0)),
    ("lake", (10, 190, 212)),
    ("dishwasher", (214, 255, 0)),
    ("screen", (0, 204, 255)),
    ("blanket", (20, 0, 255)),
    ("sculpture", (255, 255, 0)),
    ("hood", (0, 153, 255)),
    ("sconce", (0, 41, 255)),
    ("vase", (0, 255, 204)),
    ("traffic light", (41, 0, 255)),
    ("tray", (41, 255, 0)),
    ("ashcan", (173, 0, 255)),
    ("fan", (0, 245, 255)),
    ("pier", (71, 0, 255)),
    ("crt screen", (122, 0, 255)),
    ("plate", (0, 255, 184)),
    ("monitor", (0, 92, 255)),
    ("bulletin board", (184, 255, 0)),
    ("shower", (0, 133, 255)),
    ("radiator", (255, 214, 0)),
    ("glass", (25, 194, 194)),
    ("clock", (102, 255, 0)),
    ("flag", (92, 0, 255)),
)
_TABLE = {value: value for value in range(len(_CLASSES))}


class Config(Params):
    """What to keep: scene categories, and a text file under the root that names images; or all."""

    scenes: tuple[str, ...] | None = Field(default=None, min_length=1)
    only: str | None = None


def class_table(config: Config) -> ClassTable:
    """Return `other`, which does not count, and the 150 classes by their published number."""
    return ClassTable(
        tuple(
            ClassInfo(name, color, eval=index > 0) for index, (name, color) in enumerate(_CLASSES)
        )
    )


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits: images/training and annotations/training, or validation."""
    scenes = None if config.scenes is None else _scenes(root, config.scenes)
    named = None if config.only is None else _named(root, config.only)
    pairs = []
    for split in splits:
        if split not in _FOLDERS:
            raise UserError(f"ADE20K has no labels of {split!r}; take it out of dataset.splits")
        holds = "images/ and annotations/"
        require_folder(root / "images", holds)
        require_folder(root / "annotations", holds)
        image_folder = require_folder(root / "images" / _FOLDERS[split], holds)
        label_folder = require_folder(root / "annotations" / _FOLDERS[split], holds)
        images = by_stem(listed(image_folder, "*", IMAGES))
        labels = by_stem(listed(label_folder, "*.png"))
        if not images:
            raise UserError(f"{image_folder} has no ADE_*.jpg; unpack ADEChallengeData2016.zip")
        for stem, image, label in match(images, labels, f"{label_folder} (*.png)"):
            kept = scenes is None or _scene(root, scenes, stem) in (config.scenes or ())
            if kept and (named is None or stem in named):
                pairs.append(RawPair(stem, split, image, label))
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read an annotation as class ids uint8 [H, W]: the values of the file."""
    known = "ADE20K annotations are 0 (other) to 150"
    return read_ids(pair.label, published(class_table(config).classes, _TABLE, known))


def _named(root: Path, only: str) -> set[str]:
    """Return the stems of the images, of any split, that a text file names."""
    images = root / "images"
    files = [file for name in _FOLDERS.values() for file in listed(images / name, "*", IMAGES)]
    written = {name: file.stem for file in files for name in (file.name, file.stem)}
    with section("ade20k"):
        return by_list(root / slashed(only, root), written, str(images), "only")


def _scenes(root: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Return stem -> scene category; a wanted category that no image has is a `UserError`."""
    path = root / _SCENES
    if not path.is_file():
        raise UserError(f"{path} is missing; add it, or set dataset.ade20k.scenes to null")
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    scenes = {words[0]: words[1] for words in map(str.split, lines) if len(words) == 2}
    there = set(scenes.values())
    for scene in wanted:
        if scene not in there:
            near = ", ".join(difflib.get_close_matches(scene, sorted(there))) or "none"
            raise UserError(
                f"{path} has no scene {scene!r}; {len(there)} others, close to it {near}; correct "
                "dataset.ade20k.scenes"
            )
    return scenes


def _scene(root: Path, scenes: dict[str, str], stem: str) -> str:
    if stem not in scenes:
        raise UserError(f"{root / _SCENES} has no line for {stem}; replace it with the published")
    return scenes[stem]
