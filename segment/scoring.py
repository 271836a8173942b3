"""Score a segmenter image by image, and follow it while it trains."""

import math
from collections.abc import Callable

import numpy as np

from data.pairs.classes import ClassTable
from data.pairs.confusion import confusion, scores
from data.stage.errors import UserError
from segment.batches.pool import Pool

LOSS_POINTS = 100

LabelImages = Callable[[np.ndarray], np.ndarray]


def confusions(label_images: LabelImages, pool: Pool, num_classes: int) -> np.ndarray:
    """Return one confusion matrix for each pair, int32 `[N, C, C]`, rows = ground truth."""
    found = []
    for images, labels in pool.batches(16):
        predicted = label_images(images)
        found += [confusion(a, b, num_classes) for a, b in zip(labels, predicted, strict=True)]
    return np.asarray(found, np.int32).reshape(-1, num_classes, num_classes)


class Curves:
    """Loss and validation curves of one training.

    `loss` holds [iteration, mean loss since the last point], `val` [iteration, mIoU, mIoU*] in
    percent; both end at the last iteration.
    """

    def __init__(self, val: Pool, classes: ClassTable, iterations: int, val_every: int) -> None:
        self.loss: list[list[float]] = []
        self.val: list[list[float]] = []
        self._pool, self._classes = val, classes
        self._iterations, self._val_every = iterations, val_every
        self._loss_every = max(1, iterations // LOSS_POINTS)
        self._window: list[float] = []

    def add(self, iteration: int, loss: float, label_images: LabelImages) -> str:
        """Record one iteration; returns what to show beside the progress bar.

        Raises `UserError` when the loss is no longer a number.
        """
        if not math.isfinite(loss):
            raise UserError(
                f"the segmenter's loss is {loss} at iteration {iteration}; lower "
                "segment.lr or set compute.precision to fp32"
            )
        self._window.append(loss)
        last = iteration == self._iterations
        if iteration % self._loss_every == 0 or last:
            self.loss.append([iteration, round(sum(self._window) / len(self._window), 5)])
            self._window.clear()
        if iteration % self._val_every == 0 or last:
            self._validate(iteration, label_images)
        note = f"loss {self.loss[-1][1]:.3f}" if self.loss else ""
        return f"{note}, val mIoU {self.val[-1][1]:.1f}" if self.val else note

    def _validate(self, iteration: int, label_images: LabelImages) -> None:
        matrices = confusions(label_images, self._pool, self._classes.num_classes)
        result = scores(matrices.sum(axis=0, dtype=np.int64), self._classes.eval_ids)
        self.val.append([iteration, round(result.miou, 4), round(result.miou_star, 4)])
