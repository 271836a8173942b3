"""Confusion matrices and the two means over them, mIoU and mIoU*."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.pairs.classes import IGNORE


def confusion(label: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels by ground truth (row) and prediction (column), int64 `[C, C]`.

    Both maps are integers of one shape; pixels whose ground truth is `IGNORE` are left out.
    """
    kept = label != IGNORE
    pair = label[kept].astype(np.int64) * num_classes + predicted[kept].astype(np.int64)
    return np.bincount(pair, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, in percent.

    `iou` has an entry per class, NaN where a class has no ground truth in the split; for eval
    classes it is the value that enters mIoU. `absent` are the eval classes without ground truth.
    """

    miou: float
    miou_star: float
    iou: tuple[float, ...]
    absent: tuple[int, ...]


def scores(matrix: np.ndarray, eval_ids: Sequence[int]) -> Scores:
    """Compute mIoU and mIoU* from one int64 confusion matrix `[C, C]`.

    mIoU* is the mean over all C classes, an empty union counting 0. mIoU is the mean over the
    eval classes that have ground truth; pixels whose ground truth is not an eval class are left
    out, and predicting such a class on an eval pixel is an error.
    """
    matrix = matrix.astype(np.float64)
    hit, truth = matrix.diagonal(), matrix.sum(axis=1)
    union_all = truth + matrix.sum(axis=0) - hit
    star = hit / np.maximum(union_all, 1)

    evaluated = np.zeros(len(matrix), bool)
    evaluated[list(eval_ids)] = True
    union_eval = truth + matrix[evaluated].sum(axis=0) - hit
    union = np.where(evaluated, union_eval, union_all)
    iou = np.where(truth > 0, hit / np.maximum(union, 1), np.nan) * 100
    counted = evaluated & (truth > 0)
    return Scores(
        miou=float(iou[counted].mean()) if counted.any() else float("nan"),
        miou_star=float(star.mean() * 100),
        iou=tuple(iou.tolist()),
        absent=tuple(np.flatnonzero(evaluated & (truth == 0)).tolist()),
    )
