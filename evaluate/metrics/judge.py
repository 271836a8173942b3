"""The judge, a segmenter trained on real pairs, which labels images; and looking in batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from data.pairs.confusion import confusion
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet, Rows
from data.stage.errors import UserError
from data.stage.progress import progress
from evaluate.statistics import evenly

Predict = Callable[[np.ndarray], np.ndarray]  # uint8 [B, H, W, 3] -> uint8 [B, H, W]
Describe = Callable[[np.ndarray], np.ndarray]  # uint8 [B, H, W, 3] -> float [B, D]


@dataclass(frozen=True)
class Judge:
    """A trained segmenter: it labels images. `sha256` is that of its weights."""

    predict: Predict
    sha256: str


def load_judge(cell: Path) -> Judge:
    """Load the trained segmenter of a cell, and set the threads that it computes with."""
    # with torch and mmseg seconds of imports, which tables do not need
    from data.stage.compute import begin
    from segment import predict

    begin("segmenters", "judge")
    return Judge(
        predict.load(cell),
        sha256((cell / predict.WEIGHTS).read_bytes()).hexdigest(),
    )


def scored_rows(rows: Rows, num_scored: int) -> list[int]:
    """Return the synthetic rows that the judge looks at; `UserError` when there are too few."""
    if len(rows) < num_scored:
        raise UserError(
            f"{len(rows)} synthetic pairs but report.num_scored is {num_scored}; every set is "
            "scored on the same number of pairs: lower report.num_scored or raise num_pairs of "
            "the set"
        )
    return evenly(rows, num_scored)


def labelled(pairs: PairSet, rows: Rows, predict: Predict, *, batch_size: int) -> np.ndarray:
    """Return the judge's int64 [C, C] confusion matrix; the layouts are the ground truth."""
    total = np.zeros((pairs.classes.num_classes,) * 2, dtype=np.int64)
    for batch in batches(pairs, rows, batch_size, "judge"):
        predicted = predict(np.stack([pair.image for pair in batch]))
        labels = np.stack([pair.label for pair in batch])
        total += confusion(labels, predicted, pairs.classes.num_classes)
    return total


def features(pairs: PairSet, rows: Rows, describe: Describe, *, batch_size: int) -> np.ndarray:
    """Return what a network says of the images of some rows, float64 [N, D]."""
    found = [
        describe(np.stack([pair.image for pair in batch]))
        for batch in batches(pairs, rows, batch_size, "features")
    ]
    return np.concatenate(found).astype(np.float64)


def batches(pairs: PairSet, rows: Rows, batch_size: int, label: str) -> Iterator[list[Pair]]:
    """Yield some pairs of a set in batches, with a progress bar of that label."""
    with progress(len(rows), label, "images") as advance:
        for start in range(0, len(rows), batch_size):
            batch = list(pairs.pairs(rows[start : start + batch_size]))
            yield batch
            advance(len(batch))
