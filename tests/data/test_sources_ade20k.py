"""ADE20K: 0 is `other`, values are ids, scenes choose, JPEG images of any size and mode."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.sources import ade20k as source
from data.sources.files import read_values
from data.stage.errors import UserError

CONFIG = source.Config()
INDOOR = source.Config(scenes=("bedroom", "kitchen"))


def test_values_are_ids_and_other_does_not_count(ade20k) -> None:
    table = source.class_table(CONFIG)
    assert table.num_classes == 151 and table.eval_ids == tuple(range(1, 151))
    assert [table.names[i] for i in (0, 1, 8, 13, 150)] == [
        "other",
        "wall",
        "bed",
        "person",
        "flag",
    ]
    assert table.classes[3].color == (6, 230, 230)
    pair = source.find(ade20k, ["train"], CONFIG)[0]
    label = source.read_label(pair, CONFIG)
    assert set(np.unique(label)) == {0, 1, 6, 150}
    assert (label == read_values(pair.label)).all()


def test_values_beyond_the_classes_are_refused(ade20k, files) -> None:
    pair = source.find(ade20k, ["val"], CONFIG)[0]
    # What reduce_zero_label leaves behind: 0 is the wall, 255 is "other".
    files.save(pair.label, files.labels(0, [0, 149, 255]))
    with pytest.raises(UserError, match=r"255 \(\d+ pixels\); ADE20K annotations are 0"):
        source.read_label(pair, CONFIG)


def test_splits_are_training_and_validation(ade20k) -> None:
    assert [pair.id for pair in source.find(ade20k, ["val", "train"], CONFIG)] == [
        *(f"ADE_val_{i:08d}" for i in (1, 2, 3)),
        *(f"ADE_train_{i:08d}" for i in (1, 2, 3, 4)),
    ]
    with pytest.raises(UserError, match=r"ADE20K has no labels of 'test'; take it out of dataset"):
        source.find(ade20k, ["train", "val", "test"], CONFIG)


def test_scenes_choose(ade20k, run_ingest) -> None:
    pairs = source.find(ade20k, ["train", "val"], INDOOR)
    assert [pair.id[4:] for pair in pairs] == [
        "train_00000002",
        "train_00000004",
        "val_00000001",
        "val_00000003",
    ]
    out = run_ingest(source="ade20k", root=ade20k, ade20k={"scenes": ["bedroom"]})
    assert len(PairSet(out / "train")) == 2 and len(PairSet(out / "val")) == 1


def test_a_scene_that_no_image_has(ade20k) -> None:
    message = r"sceneCategories\.txt has no scene 'bedrom'; 4 others, close to it bedroom; correct"
    with pytest.raises(UserError, match=message):
        source.find(ade20k, ["train"], source.Config(scenes=("bedrom",)))


def test_images_without_a_scene_and_no_scenes_at_all(ade20k) -> None:
    path = ade20k / "sceneCategories.txt"
    path.write_text(path.read_text().replace("ADE_train_00000003", "ADE_train_00000009"))
    with pytest.raises(UserError, match=r"sceneCategories\.txt has no line for ADE_train_00000003"):
        source.find(ade20k, ["train"], INDOOR)
    path.unlink()
    assert len(source.find(ade20k, ["train"], CONFIG)) == 4
    with pytest.raises(UserError, match=r"is missing; add it, or set dataset\.ade20k\.scenes"):
        source.find(ade20k, ["train"], INDOOR)


def test_grey_images_are_read(ade20k, run_ingest) -> None:
    out = run_ingest(source="ade20k", root=ade20k)
    pair = PairSet(out / "train")[2]
    assert pair.id == "ADE_train_00000003"
    assert (pair.image == pair.image[..., :1]).all() and pair.image.std() > 0


def test_a_list_chooses_by_name(ade20k, root, run_ingest) -> None:
    """The preset of outdoor scenes reads such a list; names may have their ending."""
    (ade20k / "outdoor.txt").write_text("ADE_train_00000003.jpg\nADE_val_00000002\n\n")
    preset = YAML(typ="safe", pure=True).load((root / "presets/ade20k_outdoor.yaml").read_text())
    section = preset["dataset"]["ade20k"]
    out = run_ingest(source="ade20k", root=ade20k, ade20k=section)
    found = {split: PairSet(out / split).ids() for split in ("train", "val")}
    assert found == {"train": ["ADE_train_00000003"], "val": ["ADE_val_00000002"]}
    both = source.Config(scenes=("bedroom",), only="outdoor.txt")
    assert source.find(ade20k, ["train", "val"], both) == [], "both rules hold"
    (ade20k / "outdoor.txt").write_text("ADE_train_00000099\n")
    with pytest.raises(UserError, match=r"outdoor\.txt lists 'ADE_train_00000099', which is not"):
        source.find(ade20k, ["train"], source.Config(only="outdoor.txt"))
    with pytest.raises(UserError, match=r"no\.txt is missing; dataset\.ade20k\.only names it"):
        source.find(ade20k, ["train"], source.Config(only="no.txt"))
