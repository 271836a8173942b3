"""Nearest real training images, and how many synthetic ones come too near."""

import numpy as np
import pytest

from evaluate.metrics.copies import copies, nearest

TRAIN = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 20.0]])
TRAIN_IDS = ["a", "b", "c"]
# nearest training images at 1, 2, 3, 4, 5: the first percentile is 1 + 0.04 * (2 - 1)
HELD_OUT = np.array([[0.0, -1.0], [12.0, 0.0], [0.0, 23.0], [-4.0, 0.0], [10.0, -5.0]])


def found_for(synthetic, parents=(None, None, None)):
    return copies(
        np.asarray(synthetic, np.float64),
        TRAIN,
        HELD_OUT,
        ids=["x", "y", "z"],
        train_ids=TRAIN_IDS,
        parents=parents,
    )


def test_by_hand():
    found = found_for([[0.0, 7.0], [10.0, 1.0], [3.0, 20.0]])
    assert found["limit"] == pytest.approx(1.04)
    assert found["share"] == pytest.approx(100 / 3)
    assert (found["median"], found["median_held_out"]) == (3, 3)
    assert (found["num_pairs"], found["num_held_out"], found["num_train"]) == (3, 5, 3)
    assert found["closest"] == [
        {"id": "y", "real": "b", "distance": 1.0},
        {"id": "z", "real": "c", "distance": 3.0},
        {"id": "x", "real": "a", "distance": 7.0},
    ]


def test_an_exact_copy_is_found_at_distance_zero():
    found = found_for([[100.0, 100.0], TRAIN[2], [-50.0, 0.0]])
    assert found["closest"][0] == {"id": "y", "real": "c", "distance": 0.0}
    assert found["share"] == pytest.approx(100 / 3)


def test_a_pair_may_be_like_its_own_parent_but_not_like_another():
    images = [[0.0, 0.5], [10.0, 0.5], [0.0, 20.5]]
    assert found_for(images)["share"] == 100
    found = found_for(images, parents=["a", "b", "a"])
    assert found["share"] == pytest.approx(100 / 3)
    assert found["closest"][0] == {"id": "z", "real": "c", "distance": 0.5}
    away = pytest.approx(np.hypot(10, 0.5))
    assert found["closest"][1] == {"id": "x", "real": "b", "distance": away}


def test_nearest_leaves_out_one_row_of_each():
    index, distance = nearest(TRAIN, TRAIN)
    assert index.tolist() == [0, 1, 2] and distance.tolist() == [0, 0, 0]
    index, distance = nearest(TRAIN, TRAIN, [0, 1, None])
    assert index.tolist() == [1, 0, 2] and distance.tolist() == [10, 10, 0]
