"""COCO-Stuff 164k: COCO's images/ and the pixel maps of things and stuff, 182 classes.

Names and their order are those of labels.txt of the release (github.com/nightrome/cocostuff). It
has no colours: here they are Pascal VOC's bit pattern.

Known traps:

* The masks of stuffthingmaps_trainval2017.zip hold the number in labels.txt less 1, and 255 where
  nobody labelled: class 0 is person. The same numbers, not less 1, are in COCO's JSON.
* Eleven things (street sign, hat, ...) were planned and never labelled: 171 classes occur. They do
  not count here, so that numbers stay those of the files.
* Folders are train2017 and val2017; labels of the test images are withheld.
* Tools lay masks of other numberings beside (*_labelTrainIds.png); these are not read.
* Images are JPEG of many sizes and aspects, some of them grey; all are brought to one size.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.pairs.classes import ClassInfo, ClassTable
from data.sources.files import IMAGES, RawPair, as_it_is, by_stem, listed, match, require_folder
from data.sources.masks.classes import color_of
from data.sources.masks.encodings import published, read_ids
from data.stage.errors import UserError
from data.stage.params import Params

LICENCE = "COCO-Stuff: annotations CC BY 4.0; images under the terms of Flickr"
UNLABELLED = 255
_FOLDERS = {"train": "train2017", "val": "val2017"}

_NAMES = """
person; bicycle; car; motorcycle; airplane; bus; train; truck; boat; traffic light; fire hydrant;
street sign; stop sign; parking meter; bench; bird; cat; dog; horse; sheep; cow; elephant; bear;
zebra; giraffe; hat; backpack; umbrella; shoe; eye glasses; handbag; tie; suitcase; frisbee; skis;
snowboard; sports ball; kite; baseball bat; baseball glove; skateboard; surfboard; tennis racket;
bottle; plate; wine glass; cup; fork; knife; spoon; bowl; banana; apple; sandwich; orange;
broccoli; carrot; hot dog; pizza; donut; cake; chair; couch; potted plant; bed; mirror; dining
table; window; desk; toilet; door; tv; laptop; mouse; remote; keyboard; cell phone; microwave;
oven; toaster; sink; refrigerator; blender; book; clock; vase; scissors; teddy bear; hair drier;
toothbrush; hair brush; banner; blanket; branch; bridge; building-other; bush; cabinet; cage;
cardboard; carpet; ceiling-other; ceiling-tile; cloth; clothes; clouds; counter; cupboard;
curtain; desk-stuff; dirt; door-stuff; fence; floor-marble; floor-other; floor-stone; floor-tile;
floor-wood; flower; fog; food-other; fruit; furniture-other; grass; gravel; ground-other; hill;
house; leaves; light; mat; metal; mirror-stuff; moss; mountain; mud; napkin; net; paper; pavement;
pillow; plant-other; plastic; platform; playingfield; railing; railroad; river; road; rock; roof;
rug; salad; sand; sea; shelf; sky-other; skyscraper; snow; solid-other; stairs; stone; straw;
structural-other; table; tent; textile-other; towel; tree; vegetable; wall-brick; wall-concrete;
wall-other; wall-panel; wall-stone; wall-tile; wall-wood; water-other; waterdrops; window-blind;
window-other; wood
"""
_CLASSES = tuple(name.strip() for name in _NAMES.replace("\n", " ").split(";"))
_NEVER = frozenset(
    ("street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door")
) | {"blender", "hair brush"}
_TABLE = {value: value for value in range(len(_CLASSES))} | {UNLABELLED: len(_CLASSES)}


class Config(Params):
    """COCO-Stuff has no numbers of its own."""


def class_table(config: Config) -> ClassTable:
    """Return the 182 classes by the numbers of the masks, then what nobody labelled."""
    classes = [
        ClassInfo(name, color_of(index), eval=name not in _NEVER)
        for index, name in enumerate(_CLASSES)
    ]
    return ClassTable((*classes, ClassInfo("unlabeled", (0, 0, 0), eval=False)))


prepare = as_it_is


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find the pairs of some splits: images/SPLIT2017 and annotations/SPLIT2017 under root."""
    pairs = []
    for split in splits:
        if split not in _FOLDERS:
            raise UserError(f"COCO-Stuff has no labels of {split!r}; take it out of dataset.splits")
        holds = "images/ and annotations/, with train2017/ and val2017/ each"
        for name in ("images", "annotations"):
            require_folder(root / name, holds)
        image_folder = require_folder(root / "images" / _FOLDERS[split], holds)
        label_folder = require_folder(root / "annotations" / _FOLDERS[split], holds)
        images = by_stem(listed(image_folder, "*", IMAGES))
        every = by_stem(listed(label_folder, "*.png"))
        labels = {stem: path for stem, path in every.items() if not stem.endswith("TrainIds")}
        if not images:
            raise UserError(f"{image_folder} has no image; unpack {_FOLDERS[split]}.zip")
        found = match(images, labels, f"{label_folder} (*.png)")
        pairs += [RawPair(stem, split, image, label) for stem, image, label in found]
    return pairs


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a mask as class ids uint8 [H, W]; 255 becomes the last class, unlabeled."""
    known = "COCO-Stuff masks hold 0 to 181, and 255 where nobody labelled"
    return read_ids(pair.label, published(class_table(config).classes, _TABLE, known))
