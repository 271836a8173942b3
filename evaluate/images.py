"""How well painted images obey their layouts, as a segmenter trained on real pairs sees it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.confusion import confusion
from data.errors import UserError
from data.progress import progress
from data.shards import PairSet
from evaluate.rows import spread

Predict = Callable[[np.ndarray], np.ndarray]  # uint8 [B, H, W, 3] -> uint8 [B, H, W]


def load_judge(cell: Path, *, threads: int) -> Predict:
    """Return the trained segmenter of a cell as a function from images to labels."""
    import torch  # with mmseg seconds of imports, which tables do not need

    from segment import predict

    torch.set_num_threads(threads)
    return predict.load(cell)


def scored_rows(rows: Sequence[int], num_scored: int) -> list[int]:
    """Return the synthetic rows that the judge labels; `UserError` when there are too few."""
    if len(rows) < num_scored:
        raise UserError(
            f"{len(rows)} synthetic pairs but report.num_scored is {num_scored}; every row of the "
            "table is scored on the same number of pairs: lower report.num_scored or raise "
            "produce.num_pairs"
        )
    return spread(rows, num_scored)


def obedience(
    pairs: PairSet, rows: Sequence[int], predict: Predict, *, batch_size: int
) -> np.ndarray:
    """Return the judge's int64 [C, C] confusion matrix; the layouts are the ground truth."""
    total = np.zeros((pairs.classes.num_classes,) * 2, dtype=np.int64)
    with progress(len(rows), "judge", "images") as advance:
        for start in range(0, len(rows), batch_size):
            batch = list(pairs.pairs(rows[start : start + batch_size]))
            predicted = predict(np.stack([pair.image for pair in batch]))
            labels = np.stack([pair.label for pair in batch])
            total += confusion(labels, predicted, pairs.classes.num_classes)
            advance(len(batch))
    return total
