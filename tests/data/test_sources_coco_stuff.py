"""COCO-Stuff: numbers of the masks are the classes, of which eleven never occur."""

import numpy as np
import pytest

from data.sources import coco_stuff as source
from data.sources.files import read_values
from data.stage.errors import UserError

CONFIG = source.Config()


def test_the_table_is_that_of_the_release() -> None:
    table = source.class_table(CONFIG)
    assert table.num_classes == 183 and len(table.eval_ids) == 171
    named = {0: "person", 90: "hair brush", 91: "banner", 181: "wood", 182: "unlabeled"}
    assert {index: table.names[index] for index in named} == named
    # the last number of labels.txt is 182, less 1 in the masks
    assert len(set(table.names)) == 183


def test_the_numbers_are_the_classes_and_other_masks_are_not_read(coco_stuff) -> None:
    pairs = source.find(coco_stuff, ["train", "val"], CONFIG)
    assert [pair.split for pair in pairs] == ["train"] * 3 + ["val"] * 2
    for pair in pairs:
        raw, label = read_values(pair.label), source.read_label(pair, CONFIG)
        np.testing.assert_array_equal(label, np.where(raw == 255, 182, raw))


def test_there_is_no_test_split(coco_stuff) -> None:
    with pytest.raises(UserError, match=r"no labels of 'test'; take it out"):
        source.find(coco_stuff, ["test"], CONFIG)
    with pytest.raises(UserError, match=r"annotations is missing; .*coco has images"):
        (coco_stuff / "annotations").rename(coco_stuff / "stuffthingmaps")
        (coco_stuff / "stuffthingmaps").rename(coco_stuff.parent / "elsewhere")
        source.find(coco_stuff, ["val"], CONFIG)
