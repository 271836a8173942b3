"""Which images are nearer to training images than held-out real ones are."""

import numpy as np
import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from evaluate.metrics.copies import alike, nearest, of_set, percent_nearer
from evaluate.metrics.features import Seen
from evaluate.metrics.metric import RealPairs, Reference, Scored

TRAIN = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 20.0]])
# nearest training images at 1, 2, 3, 4, 5: the first percentile is 1 + 0.04 * (2 - 1)
HELD_OUT = np.array([[0.0, -1.0], [12.0, 0.0], [0.0, 23.0], [-4.0, 0.0], [10.0, -5.0]])


NONE = (None,) * 3


def real(features, groups, name="train") -> RealPairs:
    features = np.asarray(features, np.float64)
    ids = tuple(f"{name}-{row}" for row in range(len(features)))
    palettes, nothing = np.zeros((len(ids), 2)), np.empty((0, 4))
    return RealPairs(ids, tuple(groups), palettes, nothing, Seen(features, 1.0))


def test_nearer_than_held_out_images_by_hand():
    """The limit is 1.04: one of three images is nearer."""
    _, held_out = nearest(HELD_OUT, TRAIN, np.zeros((5, 3), bool))
    assert held_out.tolist() == [1, 2, 3, 4, 5]
    nobody = np.zeros((3, 3), bool)
    index, distance = nearest(np.array([[0.0, 7.0], [10, 1], [3, 20]]), TRAIN, nobody)
    assert (index.tolist(), distance.tolist()) == ([0, 1, 2], [7, 1, 3])
    assert percent_nearer(distance, held_out) == pytest.approx(100 / 3)
    assert percent_nearer(np.array([1.05, 1.03, 9.0]), held_out) == pytest.approx(100 / 3)


def test_nearest_leaves_out_what_does_not_count():
    index, distance = nearest(TRAIN, TRAIN, np.zeros((3, 3), bool))
    assert index.tolist() == [0, 1, 2] and distance.tolist() == [0, 0, 0]
    index, distance = nearest(TRAIN, TRAIN, np.diag([True, True, False]))
    assert index.tolist() == [1, 0, 2] and distance.tolist() == [10, 10, 0]
    assert np.isinf(nearest(TRAIN, TRAIN, np.ones((3, 3), bool))[1]).all()


def test_a_pair_may_be_like_its_parent_and_what_was_filmed_with_it():
    train = real(TRAIN, ["a", "a", "b"])
    found = alike(train, ["train-1", None, None, None], ["a", "b", None, "elsewhere"])
    assert found.tolist() == [
        [True, True, False],
        [False, False, True],
        [False, False, False],
        [False, False, False],
    ]
    alone = real(TRAIN, ["a"] * 3)
    assert alike(alone, ["train-1"], ["a"]).tolist() == [[False, True, False]]
    assert alike(real(TRAIN, NONE), [None], [None]).tolist() == [[False] * 3]


@pytest.fixture
def painted(tmp_path) -> PairSet:
    """Three pairs; the first two have parents."""
    classes = ClassTable((ClassInfo("a", (0, 0, 0)), ClassInfo("b", (1, 1, 1))))
    blank = np.zeros((2, 2, 3), np.uint8)
    with ShardWriter(tmp_path / "set", classes=classes, size=(2, 2), fingerprint="x") as writer:
        for number, parent in enumerate(("train-0", "train-2", None)):
            writer.write(Pair(f"s-{number}", blank, blank[..., 0], "semi", parent=parent))
    return PairSet(tmp_path / "set")


def copies_of(painted: PairSet, features, train: RealPairs, val: RealPairs):
    scored = Scored(painted, range(3), range(3), None, Reference(train, val, 0.0), 4)
    scored.__dict__["seen"] = Seen(np.asarray(features, np.float64), 1.0)
    return of_set(scored)


@pytest.mark.parametrize(("groups", "percent"), [(NONE, 200 / 3), (["a", "b", "a"], 100 / 3)])
def test_copies_of_a_set(painted, groups, percent):
    """A copy of another frame of its parent's video is a copy only where there are no videos."""
    train = real(TRAIN, groups)
    val = real(TRAIN + 3.0, NONE, "val")
    # near its parent; on another frame; on some frame, without a parent
    found = copies_of(painted, [TRAIN[0] + 0.1, TRAIN[0], TRAIN[1]], train, val)
    assert found.value == pytest.approx(percent)
    first = found.facts["closest"][0]
    assert first["distance"] == pytest.approx(0, abs=1e-9)
    assert (first["id"], first["real"]) == (
        ("s-1", "train-0") if groups is NONE else ("s-2", "train-1")
    )


def test_held_out_images_are_compared_with_other_videos_too(painted):
    """Val images right beside training images of their own video make no limit of zero."""
    train = real(TRAIN, ["a", "b", "b"])
    val = real(TRAIN[[0, 0]] + 0.01, ["a", "a"], "val")
    copy = copies_of(painted, [TRAIN[1] + 0.5, TRAIN[0] + 0.5, TRAIN[0] + 0.5], train, val)
    assert copy.value == 100
