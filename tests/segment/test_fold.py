"""Folds: groups stay whole, and every pair is scored by a segmenter that has not seen it."""

import json
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.sources.ingest import DatasetParams
from data.stage.errors import UserError
from segment.stages.fold import divide, groups_of, main

VIDEOS = {"a": 6, "b": 4, "c": 2}


@pytest.fixture
def videos(workspace, artifacts) -> Path:
    """A workspace with the training pairs of three videos and their files, two folds."""
    root = workspace(iterations=3)
    params = YAML(typ="safe").load(root / "params.yaml")
    params["dataset"] = {"source": "camvid", "root": "raw", "height": 32, "width": 48}
    params["train"] = {"folds": [0, 1]}
    YAML().dump(params, root / "params.yaml")
    names = [f"{video}_{frame}" for video, count in VIDEOS.items() for frame in range(count)]
    scenes = PairSet(artifacts / "pairs/real")
    about = {"classes": scenes.classes, "size": scenes.size, "fingerprint": "f"}
    with ShardWriter(root / "train", **about) as writer:
        for name, pair in zip(names, scenes.pairs(), strict=True):
            writer.write(Pair(name, pair.image, pair.label, "real"))
    for folder in ("train", "trainannot"):
        (root / "raw" / folder).mkdir(parents=True)
        for name in names:
            (root / "raw" / folder / f"{name}.png").touch()
    return root


def test_every_pair_is_in_one_fold_and_every_video_whole():
    ids = [f"{video}_{frame}" for video, count in VIDEOS.items() for frame in range(count)]
    folds = divide(ids, {name: name[0] for name in ids}, 2)
    assert sorted(name for fold in folds for name in fold) == sorted(ids)
    assert [len(fold) for fold in folds] == [6, 6]
    assert {frozenset(name[0] for name in fold) for fold in folds} == {
        frozenset("a"),
        frozenset("bc"),
    }


def test_pairs_without_a_group_are_divided_one_by_one_and_the_same_way_again():
    ids = [str(number) for number in range(11)]
    folds = divide(ids, dict.fromkeys(ids, ""), 3)
    assert sorted(len(fold) for fold in folds) == [3, 4, 4]
    assert folds == divide(ids, {}, 3)
    assert folds != [set(ids[:4]), set(ids[4:8]), set(ids[8:])], "neighbours may be alike"


def test_fewer_videos_than_folds_is_one_line():
    with pytest.raises(UserError, match="from 1 videos, cities or scenes, too few for 2 folds"):
        divide(["x_0", "x_1"], {"x_0": "x", "x_1": "x"}, 2)


def test_streets_have_no_groups(tmp_path):
    streets = {"num_train": 2, "num_val": 1, "num_test": 1}
    dataset = DatasetParams(source="streets", root=tmp_path, height=32, width=64, streets=streets)
    assert list(groups_of(dataset).values()) == ["", ""]


def test_a_fold_scores_the_pairs_that_were_left_out(videos):
    seen = []
    for fold in (0, 1):
        main(fold=fold, train=Path("train"), out=Path("folds") / str(fold))
        (file,) = (videos / "folds" / str(fold)).iterdir()  # nothing else is left behind
        content = json.loads(file.read_text())
        assert content["num_folds"] == 2
        labels = [pair.label for pair in PairSet(videos / "train").pairs()]
        ids = PairSet(videos / "train").ids()
        held_out = [labels[ids.index(name)] for name in content["held_out"]]
        counts = np.bincount(np.concatenate(held_out).ravel(), minlength=3)
        assert np.sum(content["confusion"], axis=1).tolist() == counts.tolist()
        seen += content["held_out"]
    assert sorted(seen) == sorted(PairSet(videos / "train").ids())


def test_equal_folds_are_equal_files(videos):
    for out in ("once", "again"):
        main(fold=1, train=Path("train"), out=Path(out))
    assert Path("once/fold.json").read_bytes() == Path("again/fold.json").read_bytes()


@pytest.mark.parametrize("folds", [[], [0], [1, 2], [0, 2]])
def test_folds_are_numbered_from_zero(videos, folds):
    params = YAML(typ="safe").load(videos / "params.yaml")
    YAML().dump(params | {"train": {"folds": folds}}, videos / "params.yaml")
    with pytest.raises(UserError, match=r"train.folds = .*; number two folds or more from 0"):
        main(fold=0, train=Path("train"), out=Path("out"))
    assert not Path("out").exists()
