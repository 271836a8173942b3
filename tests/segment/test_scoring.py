"""Confusion matrices per pair and the curves of a training."""

from pathlib import Path

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from segment.batches.pool import Part, Pool
from segment.scoring import Curves, confusions


@pytest.fixture
def val(artifacts: Path) -> Pool:
    return Pool([Part.whole(PairSet(artifacts / "real/val"))], memory_limit_mb=100)


def all_road(images: np.ndarray) -> np.ndarray:
    return np.ones(images.shape[:3], np.uint8)


def test_one_matrix_for_each_pair(val: Pool) -> None:
    matrices = confusions(all_road, val, 3)
    assert matrices.shape == (6, 3, 3)
    assert matrices.dtype == np.int32
    for index, matrix in enumerate(matrices):
        shares = np.bincount(val[index][1].ravel(), minlength=3)
        assert matrix.tolist() == [[0, count, 0] for count in shares]


def test_curves_end_at_the_last_iteration(artifacts: Path, val: Pool) -> None:
    classes = PairSet(artifacts / "real/val").classes
    curves = Curves(val, classes, iterations=7, val_every=3)
    for iteration in range(1, 8):
        curves.add(iteration, 1.0 / iteration, all_road)
    assert [point[0] for point in curves.val] == [3, 6, 7]
    assert [point[0] for point in curves.loss] == list(range(1, 8))
    # all road: the road's IoU is its share among sky and road (mIoU), or among all pixels (mIoU*)
    label = np.stack([val[index][1] for index in range(6)])
    road, sky = (label == 1).sum(), (label == 0).sum()
    assert curves.val[-1][1] == pytest.approx(100 * road / (road + sky) / 2, abs=1e-3)
    assert curves.val[-1][2] == pytest.approx(100 * road / label.size / 3, abs=1e-3)


def test_a_loss_point_is_the_mean_since_the_last(artifacts: Path, val: Pool) -> None:
    curves = Curves(val, PairSet(artifacts / "real/val").classes, iterations=250, val_every=250)
    for iteration in range(1, 251):
        curves.add(iteration, float(iteration), all_road)
    assert curves.loss[:2] == [[2, 1.5], [4, 3.5]]


def test_a_loss_that_is_no_number_stops_the_training(artifacts: Path, val: Pool) -> None:
    curves = Curves(val, PairSet(artifacts / "real/val").classes, iterations=5, val_every=5)
    with pytest.raises(UserError, match=r"iteration 1; lower segment\.lr"):
        curves.add(1, float("nan"), all_road)
