"""mIoU and mIoU* on matrices small enough to do by hand."""

import numpy as np
import pytest

from data.pairs.classes import IGNORE
from data.pairs.confusion import confusion, scores


def test_confusion_counts_rows_as_ground_truth_and_leaves_ignore_out():
    label = np.array([[0, 0, 1], [2, IGNORE, 1]], np.uint8)
    predicted = np.array([[0, 1, 1], [0, 2, 1]], np.uint8)
    assert confusion(label, predicted, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_the_two_means_of_a_matrix_with_a_void_class():
    # classes road, car, person, void; void (3) is not an eval class, person has no ground truth
    matrix = np.array([[50, 5, 0, 5], [10, 20, 0, 0], [0, 0, 0, 0], [8, 2, 4, 6]])
    found = scores(matrix, (0, 1, 2))
    # eval classes: void rows are left out of the columns, void predictions are errors
    road = 50 / (60 + 60 - 50)
    car = 20 / (30 + 25 - 20)
    assert found.miou == pytest.approx(100 * (road + car) / 2)
    assert found.absent == (2,)
    assert np.isnan(found.iou[2])
    # all classes: every row and column counts, an absent class counts 0
    star = (50 / (60 + 68 - 50) + 20 / (30 + 27 - 20) + 0 + 6 / (20 + 11 - 6)) / 4
    assert found.miou_star == pytest.approx(100 * star)
    assert found.iou[3] == pytest.approx(100 * 6 / 25)


def test_a_perfect_prediction_scores_100_and_an_empty_union_counts_0_in_the_starred_mean():
    found = scores(np.diag([3, 4, 0]), (0, 1))
    assert found.miou == pytest.approx(100)
    assert found.miou_star == pytest.approx(200 / 3)


def test_large_counts_stay_exact():
    matrix = np.array([[2**40, 1], [0, 2**40]])
    assert scores(matrix, (0, 1)).iou[1] == pytest.approx(100 * 2**40 / (2**40 + 1), abs=1e-12)
