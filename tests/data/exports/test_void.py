"""Void classes are classes like the others, or 255 and left out."""

import json

import numpy as np
import pytest

from data.pairs.classes import IGNORE, ClassInfo, ClassTable
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools import export, verify
from tests.data.exports.helpers import picture, sets_of, table_of

VOID = ClassTable(
    (
        ClassInfo("other", (0, 0, 0), eval=False),
        ClassInfo("wall", (9, 0, 0)),
        ClassInfo("left", (0, 9, 0), mirror="right"),
        ClassInfo("right", (0, 0, 9), mirror="left"),
    )
)


@pytest.mark.parametrize("void", ["class", "ignore"])
def test_void_is_a_class_or_255_and_the_trainers_names_follow(make, tmp_path, void) -> None:
    root = make(VOID, ["a", "b", "c", "d", "e"])
    kept = ["other", "wall", "left", "right"] if void == "class" else ["wall", "left", "right"]
    for to in ("hf", "mmseg", "coco"):
        export.main([root], tmp_path / to, to=to, void=void)
        page = (tmp_path / to / "README.md").read_text()
        assert ("are 255 here" in page) == (void == "ignore")
        assert ("`--void ignore` they are 255" in page) == (void == "class")
    names = json.loads((tmp_path / "hf/id2label.json").read_text())
    assert names == {str(index): name for index, name in enumerate(kept)}
    ids = json.loads((tmp_path / "hf/label2id.json").read_text())
    assert ids == {name: index for index, name in enumerate(kept)}
    rows = table_of(tmp_path / "mmseg")
    config = (tmp_path / "mmseg/dataset.py").read_text()
    assert f"num_classes = {len(kept)}\n" in config
    assert ("swap_seg_labels=[(1, 2)]" in config) == (void == "ignore")
    for split, pairs in sets_of(root).items():
        written = tmp_path / "hf/data" / split
        assert list(verify.faults(written)) == []
        for pair, copy in zip(pairs.pairs(), PairSet(written).pairs(), strict=True):
            assert 0 in pair.label
            expected = pair.label if void == "class" else pair.label - np.uint8(1)
            assert IGNORE in expected or void == "class"
            np.testing.assert_array_equal(copy.label, expected)
            np.testing.assert_array_equal(copy.image, pair.image)
            label = picture(tmp_path / "mmseg/ann_dir" / split / f"{rows[pair.id]['name']}.png")
            np.testing.assert_array_equal(label, expected)
    content = json.loads((tmp_path / "coco/annotations/train.json").read_text())
    assert [entry["name"] for entry in content["categories"]] == kept
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_void_may_be_asked_for_where_there_is_a_choice(make, tmp_path) -> None:
    with pytest.raises(UserError, match=r"unknown --void 'white'; there is class, ignore"):
        export.main([make()], tmp_path / "out", to="hf", void="white")
    with pytest.raises(UserError, match=r"labelTrainIds .* leave out --void"):
        export.main([tmp_path / "sets"], tmp_path / "out", to="cityscapes", void="ignore")


def test_void_is_left_out_of_real_and_synthetic_pairs_alike(apart, tmp_path) -> None:
    train, out = apart / "real/train", tmp_path / "out"
    export.main([train, apart / "semi"], out, to="hf", void="ignore")
    assert list(verify.faults(out / "data/train")) == []
    assert PairSet(out / "data/train").manifest["sources"] == {"real": 8, "semi": 3}
    with pytest.raises(UserError, match=r"synthetic pairs alone.*export .*train with it"):
        export.main([apart / "semi"], tmp_path / "alone", to="hf", void="ignore")
