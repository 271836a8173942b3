"""COCO: segments are those of cocoapi, and give the labels back."""

import json
from typing import Any

import numpy as np
import pytest

from data.pairs.classes import IGNORE
from data.pairs.shards import PairSet
from data.tools import export
from data.tools.exports.coco import encode_mask
from tests.data.exports.helpers import CLASSES, SIZE, ignoring, picture


def runs(counts: str) -> list[int]:
    """Read COCO's string as `rleFrString` of cocoapi's maskApi.c does, line by line."""
    found: list[int] = []
    position = 0
    while position < len(counts):
        x, k, more = 0, 0, True
        while more:
            c = ord(counts[position]) - 48
            x |= (c & 0x1F) << 5 * k
            more = bool(c & 0x20)
            position, k = position + 1, k + 1
            if not more and c & 0x10:
                x |= -1 << 5 * k
        if len(found) > 2:
            x += found[-2]
        found.append(x)
    return found


def decoded(segment: dict[str, Any]) -> np.ndarray:
    values = np.arange(len(counts := runs(segment["counts"]))) % 2 == 1
    return np.repeat(values, counts).reshape(segment["size"], order="F")


def test_run_lengths_are_those_of_cocoapi() -> None:
    # strings that pycocotools 2.0.11 made of the same masks
    assert encode_mask(np.zeros((2, 3), bool)) == {"size": [2, 3], "counts": "6"}
    assert encode_mask(np.ones((2, 3), bool)) == {"size": [2, 3], "counts": "06"}
    corner = np.array([[0, 1, 0], [1, 1, 0]], bool)
    assert encode_mask(corner) == {"size": [2, 3], "counts": "132"}
    rng = np.random.default_rng(3)
    wide = np.zeros((700, 900), bool)
    wide[:, 300:] = True
    wide[3, 5] = True
    masks = [wide, ~wide, *(rng.random(rng.integers(1, 40, 2)) < rng.random() for _ in range(200))]
    for mask in masks:
        np.testing.assert_array_equal(decoded(encode_mask(mask)), mask)


@pytest.mark.parametrize("with_ignored", [False, True])
def test_coco_segments_give_the_labels_back(make, tmp_path, with_ignored) -> None:
    root = ignoring(tmp_path / "set", CLASSES) if with_ignored else make() / "train"
    export.main([root], tmp_path / "out", to="coco")
    content = json.loads((tmp_path / "out/annotations/train.json").read_text())
    colors = {c["id"]: (c["name"], tuple(c["color"])) for c in content["categories"]}
    assert colors == {i: (c.name, c.color) for i, c in enumerate(CLASSES.classes, 1)}
    assert [c["supercategory"] for c in content["categories"]] == ["evaluated"] * 4 + ["void"]
    assert len({a["id"] for a in content["annotations"]}) == len(content["annotations"])
    for image, pair in zip(content["images"], PairSet(root).pairs(), strict=True):
        assert image["pair"] == pair.id and (image["height"], image["width"]) == SIZE
        shown = picture(tmp_path / "out/images/train" / image["file_name"])
        np.testing.assert_array_equal(shown, pair.image)
        label = np.full(SIZE, IGNORE, np.uint8)
        found = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        assert len({a["category_id"] for a in found}) == len(found), "one segment a class"
        for annotation in found:
            mask = decoded(annotation["segmentation"])
            assert (label[mask] == IGNORE).all(), "segments do not overlap"
            label[mask] = annotation["category_id"] - 1
            left, top, width, height = annotation["bbox"]
            assert annotation["area"] == mask.sum() == mask[top:, left:][:height, :width].sum()
            assert mask[:, left].any() and mask[top + height - 1].any()
        np.testing.assert_array_equal(label, pair.label)
