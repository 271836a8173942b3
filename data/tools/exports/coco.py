"""COCO: images/ and one JSON per split, one segment (compressed RLE) per class of an image."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from data.pairs.classes import IGNORE, ClassTable
from data.pairs.pair import decode_label
from data.stage.progress import Advance
from data.tools.exports.files import TABLE, Encoded, encoded, write_table
from data.tools.exports.names import safe_names
from data.tools.exports.union import Union

_CARD = """\
`images/SPLIT/NAME.png` are the images, `annotations/SPLIT.json` the labels in COCO's format: an
annotation is one class of one image, all its pixels in one compressed RLE, as in COCO-Stuff.
`category_id` is the id of the table above **plus 1**, because 0 means "nothing" to COCO's tools.
Every pixel is in exactly one annotation; pixels to be ignored are in none.

    from pycocotools.coco import COCO
    coco = COCO("annotations/{split}.json")
    mask = coco.annToMask(coco.loadAnns([1])[0])

Categories have their `color`, and `supercategory` is `evaluated` or `void` (not in mIoU); an image
has the id of its `pair` and its `source`."""


def check(splits: Mapping[str, Union]) -> None:
    """Accept every set: any 8-bit label map can be written as segments."""


def write(splits: Mapping[str, Union], out: Path, advance: Advance) -> str:
    """Write images and annotations under `out`; return the card's words on them."""
    names = safe_names(pair for pairs in splits.values() for pair in pairs.ids())
    (out / "annotations").mkdir()
    for split, pairs in splits.items():
        (out / "images" / split).mkdir(parents=True)
        _write_split(out, split, pairs, names, advance)
    write_table(out, splits, names)
    return _CARD.format(split=next(iter(splits))) + "\n\n" + TABLE


def _write_split(
    out: Path, split: str, pairs: Union, names: Mapping[str, str], advance: Advance
) -> None:
    images = []
    height, width = pairs.size
    # Written as they come: the segments of a large set would not fit into memory.
    with (out / "annotations" / f"{split}.json").open("w", encoding="ascii") as file:
        file.write('{"annotations": [')
        number = 0
        for index, pair in enumerate(encoded(pairs), 1):
            name = f"{names[pair.id]}.png"
            (out / "images" / split / name).write_bytes(pair.image)
            images.append(
                {"id": index, "file_name": name, "height": height, "width": width}
                | {"pair": pair.id, "source": pair.source}
            )
            for annotation in _annotations(pair):
                number += 1
                file.write("\n" if number == 1 else ",\n")
                file.write(json.dumps({"id": number, "image_id": index} | annotation))
            advance()
        rest = {
            "images": images,
            "categories": _categories(pairs.classes),
            "info": {"description": f"{split}, exported by scene-palette; see README.md"},
            "licenses": [],
        }
        file.write("],\n" + json.dumps(rest, indent=1)[2:] + "\n")


def _annotations(pair: Encoded) -> Iterator[dict[str, Any]]:
    label = decode_label(pair.label)
    for value in np.unique(label):
        if value == IGNORE:
            continue
        mask = label == value
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, left = int(rows[0]), int(columns[0])
        yield {
            "category_id": int(value) + 1,
            "segmentation": encode_mask(mask),
            "area": int(mask.sum()),
            "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
            "iscrowd": 0,
        }


def _categories(classes: ClassTable) -> list[dict[str, Any]]:
    return [
        {
            "id": index,
            "name": entry.name,
            "supercategory": "evaluated" if entry.eval else "void",
            "color": list(entry.color),
            "isthing": 0,
        }
        for index, entry in enumerate(classes.classes, 1)
    ]


def encode_mask(mask: np.ndarray) -> dict[str, object]:
    """Return a bool mask `[H, W]` as COCO's compressed RLE, `{"size": [H, W], "counts": text}`."""
    packed: Any = coco.encode(np.asfortranarray(mask, np.uint8))  # its types call bytes text
    return {"size": list(mask.shape), "counts": packed["counts"].decode("ascii")}
