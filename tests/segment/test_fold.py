"""Folds: groups stay whole, and every pair is scored by a segmenter that has not seen it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from segment import folds
from segment.folds import divide, groups_of
from segment.stages.fold import main

VIDEOS = "aaaaaabbbbcc"


@pytest.fixture
def real(artifacts: Path) -> PairSet:
    return PairSet(artifacts / "real/train")


@pytest.fixture
def videos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve pairs of three videos."""
    monkeypatch.setattr(folds, "groups_of", lambda pairs: list(VIDEOS))


@pytest.fixture
def run(workspace: Callable[..., Path], artifacts: Path) -> Callable[..., Path]:
    """Train one fold of some."""

    def make(fold: int, out: str, names: tuple[int, ...] = (0, 1)) -> Path:
        root = workspace(iterations=3)
        params = YAML(typ="safe").load(root / "params.yaml")
        YAML().dump(params | {"train": {"folds": list(names)}}, root / "params.yaml")
        main(fold=fold, train=artifacts / "real/train", out=root / out)
        return root / out

    return make


def test_every_pair_is_in_one_fold_and_every_video_whole(real: PairSet, videos: None) -> None:
    found = divide(real, 2, "folds")
    assert sorted(np.concatenate(found).tolist()) == list(range(12))
    assert {frozenset(VIDEOS[row] for row in rows) for rows in found} == {
        frozenset("a"),
        frozenset("bc"),
    }


def test_pairs_without_a_group_are_divided_one_by_one_and_the_same_way_again(
    real: PairSet,
) -> None:
    found = divide(real, 5, "folds")
    assert sorted(len(rows) for rows in found) == [2, 2, 2, 3, 3]
    assert sorted(np.concatenate(found).tolist()) == list(range(12))
    again = divide(real, 5, "folds")
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


def test_fewer_videos_than_folds_is_one_line(real: PairSet, videos: None) -> None:
    with pytest.raises(UserError, match=r"from 3 videos, .*, too few for 4 folds; lower n"):
        divide(real, 4, "n")


@pytest.mark.skipif("group" not in Pair.__dataclass_fields__, reason="sets have no groups yet")
def test_groups_are_those_of_the_set_and_a_pair_without_one_is_its_own(
    real: PairSet, tmp_path: Path
) -> None:
    about = {"classes": real.classes, "size": real.size, "fingerprint": "f"}
    names = {0: "x", 1: "x", 2: "real-0003"}
    with ShardWriter(tmp_path / "set", **about) as writer:
        for row, pair in enumerate(real.pairs(range(4))):
            writer.write(replace(pair, group=names.get(row)))
    found = groups_of(PairSet(tmp_path / "set"))
    assert found[0] == found[1]
    assert len(set(found)) == 3, "a group may be called like a pair"


def test_a_fold_scores_the_pairs_that_were_left_out(
    real: PairSet, run: Callable[..., Path]
) -> None:
    seen = []
    for fold in (0, 1):
        (file,) = run(fold, f"folds/{fold}").iterdir()  # nothing else is left behind
        content = json.loads(file.read_text())
        assert content["num_folds"] == 2
        ids = real.ids()
        held_out = [real[ids.index(name)].label for name in content["held_out"]]
        counts = np.bincount(np.concatenate(held_out).ravel(), minlength=3)
        assert np.sum(content["confusion"], axis=1).tolist() == counts.tolist()
        seen += content["held_out"]
    assert sorted(seen) == sorted(real.ids())


def test_equal_folds_are_equal_files(run: Callable[..., Path]) -> None:
    once, again = (run(1, name) / "fold.json" for name in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("names", [(), (0,), (1, 2), (0, 2)])
def test_folds_are_numbered_from_zero(
    run: Callable[..., Path], tmp_path: Path, names: tuple[int, ...]
) -> None:
    with pytest.raises(UserError, match=r"train.folds = .*; number two folds or more from 0"):
        run(0, "out", names)
    assert not (tmp_path / "out").exists()
