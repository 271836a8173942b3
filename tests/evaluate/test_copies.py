"""Nearest real training images, and how many synthetic ones come too near."""

import numpy as np
import pytest

from evaluate.metrics.copies import copies, nearest

TRAIN = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 20.0]])
# nearest training images at 1, 2, 3, 4, 5: the first percentile is 1 + 0.04 * (2 - 1)
HELD_OUT = np.array([[0.0, -1.0], [12.0, 0.0], [0.0, 23.0], [-4.0, 0.0], [10.0, -5.0]])


def copies_of(synthetic, own=(None, None, None)):
    percent, index, distance = copies(np.asarray(synthetic, np.float64), TRAIN, HELD_OUT, own)
    return percent, index.tolist(), distance.tolist()


def test_by_hand():
    """The limit is 1.04: one of three images is nearer."""
    percent, index, distance = copies_of([[0.0, 7.0], [10.0, 1.0], [3.0, 20.0]])
    assert percent == pytest.approx(100 / 3)
    assert (index, distance) == ([0, 1, 2], [7, 1, 3])
    assert copies_of([[0.0, 1.05], [0.0, 1.03], [9.0, 9.0]])[0] == pytest.approx(100 / 3)


def test_an_exact_copy_is_found_at_distance_zero():
    percent, index, distance = copies_of([[100.0, 100.0], TRAIN[2], [-50.0, 0.0]])
    assert (index[1], distance[1]) == (2, 0)
    assert percent == pytest.approx(100 / 3)


def test_a_pair_may_be_like_its_own_parent_but_not_like_another():
    images = [[0.0, 0.5], [10.0, 0.5], [0.0, 20.5]]
    assert copies_of(images)[0] == 100
    percent, index, distance = copies_of(images, own=[0, 1, 0])
    assert percent == pytest.approx(100 / 3)
    assert (index[2], distance[2]) == (2, 0.5)
    assert (index[0], distance[0]) == (1, pytest.approx(np.hypot(10, 0.5)))


def test_nearest_leaves_out_one_row_of_each():
    index, distance = nearest(TRAIN, TRAIN)
    assert index.tolist() == [0, 1, 2] and distance.tolist() == [0, 0, 0]
    index, distance = nearest(TRAIN, TRAIN, [0, 1, None])
    assert index.tolist() == [1, 0, 2] and distance.tolist() == [10, 10, 0]
