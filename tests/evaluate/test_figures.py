"""What figures and sheets show: the parts that can be wrong without looking wrong."""

import numpy as np
import pytest
from PIL import Image

from data.pairs.shards import PairSet
from evaluate.collect import class_fractions, late_rise, val_curves
from evaluate.page.figures import frequent_and_rare
from evaluate.page.gallery import EDGE, outlined
from evaluate.page.plots import Bar, gains, running_mean
from evaluate.page.style import COLORS
from evaluate.statistics import HURTS, NO_EVIDENCE, Interval


def test_the_outline_is_the_inner_border_of_the_band():
    mask = np.zeros((5, 8), bool)
    mask[:, 2:6] = True
    found = outlined(np.zeros((5, 8, 3), np.uint8), mask)
    marked = (found == np.array(EDGE)).all(axis=-1)
    expected = mask.copy()
    expected[1:-1, 3:5] = False
    assert (marked == expected).all()
    assert not found[~marked].any()


def test_a_running_mean_is_cut_at_the_ends():
    np.testing.assert_allclose(running_mean(np.array([0.0, 3, 6, 3]), 1), [1.5, 3, 4, 4.5])


def test_a_gain_that_misses_the_limit_of_holm_is_grey(tmp_path):
    def colours(says):
        file = tmp_path / "gains.png"
        gains(file, [Bar("semi", Interval(-2.0, -3.0, -1.0, 3), [-2.0], says)], "gain")
        pixels = np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3)
        return {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}

    hurt = tuple(int(COLORS[2][at : at + 2], 16) for at in (1, 3, 5))
    assert hurt in colours(HURTS) and hurt not in colours(NO_EVIDENCE)


def test_frequent_and_rare_classes_that_occur():
    mean = np.array([0.5, 0.0, 0.01, 0.3, 0.04, 0.15])
    assert frequent_and_rare(mean, 4).tolist() == [0, 3, 4, 2]
    assert frequent_and_rare(mean, 9).tolist() == [0, 3, 5, 4, 2]


def test_curves_keep_the_iterations_that_all_seeds_share():
    cells = [
        [[10, 1.0, 0.0], [20, 2.0, 0.0], [30, 3.0, 0.0], [40, 4.0, 0.0]],
        [[20, 4.0, 0.0], [30, 7.0, 0.0], [40, 9.0, 0.0]],
    ]
    iterations, values = val_curves({"real": cells})["real"]
    assert iterations.tolist() == [20, 30, 40]
    assert values.tolist() == [[2, 3, 4], [4, 7, 9]]
    assert late_rise(iterations, values) == pytest.approx((4 + 9) / 2 - (3 + 7) / 2)
    assert late_rise(iterations[:1], values[:, :1]) is None


def test_class_fractions_by_hand(make_project, tmp_path):
    train = PairSet(make_project(tmp_path) / "artifacts/real/train")
    labels = np.stack([pair.label for pair in train.pairs()])
    found = {entry["name"]: entry for entry in class_fractions(train)}
    assert found["void"]["fraction"] == pytest.approx(100 / 16)
    assert found["car"]["fraction"] == pytest.approx(100 * (labels == 2).mean(), rel=1e-5)
    assert found["car"]["images"] == 100
