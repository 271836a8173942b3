"""Obedience of synthetic images to their layouts."""

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from evaluate.cells import score_matrix
from evaluate.metrics.images import features, obedience, scored_rows
from evaluate.statistics import spread


def test_images_that_show_their_layout_obey(make_project, classes, tmp_path):
    """The judge reads the class off the colour of a pixel, and the images are so coloured."""
    colors = np.array([entry.color for entry in classes.classes])

    def judge(images: np.ndarray) -> np.ndarray:
        return np.abs(images[..., None, :].astype(int) - colors).sum(-1).argmin(-1).astype("uint8")

    pairs = PairSet(make_project(tmp_path) / "artifacts/pairs/palette")
    rows = spread(pairs.select("palette"), 8)
    matrix = obedience(pairs, rows, judge, batch_size=3)
    assert matrix.sum() == 8 * 16 * 32
    assert score_matrix(matrix, pairs.classes)["miou"] == 100


def test_a_judge_that_sees_one_class_only(make_project, tmp_path):
    pairs = PairSet(make_project(tmp_path) / "artifacts/pairs/semi")
    rows = spread(pairs.select("semi"), 5)
    matrix = obedience(
        pairs, rows, lambda images: np.zeros(images.shape[:3], np.uint8), batch_size=2
    )
    labels = np.stack([pair.label for pair in pairs.pairs(rows)])
    share = (labels == 0).sum() / (labels != 3).sum()
    assert score_matrix(matrix, pairs.classes)["miou"] == pytest.approx(100 * share / 3)


def test_scored_rows_cover_the_whole_set():
    assert spread(range(100, 110), 4) == [100, 102, 105, 107]
    assert spread(range(3), 5) == [0, 1, 2]
    assert spread([], 5) == []
    with pytest.raises(UserError, match=r"3 synthetic pairs but report\.num_scored is 4"):
        scored_rows(range(3), 4)


def test_features_stand_in_the_order_of_the_rows(make_project, tmp_path):
    pairs = PairSet(make_project(tmp_path) / "artifacts/pairs/semi")
    rows = [7, 2, 11, 0]
    found = features(pairs, rows, lambda images: images.mean(axis=(1, 2)), batch_size=3)
    expected = [pairs[row].image.mean(axis=(0, 1)) for row in rows]
    np.testing.assert_allclose(found, expected)
    assert found.dtype == np.float64
