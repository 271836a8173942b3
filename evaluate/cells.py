"""Scores of trained segmenters (cells), from the confusion matrices that they left behind."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.classes import ClassTable
from data.pairs.confusion import scores
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json

SPLITS = ("val", "test")
CELL, MATRICES = "cell.json", "confusion.npz"
GAN_TRAIN = "gan_train"  # folder of the cell that was trained on synthetic pairs alone


def cell_dir(cells: Path, recipe: str, seed: int) -> Path:
    """Return the folder of a finished cell; a missing or foreign one is named."""
    folder = cells / str(seed)
    _check(
        folder,
        recipe,
        seed,
        "report.seeds asks for it: run its segment stage, or take the seed out",
    )
    return folder


def gan_train_dir(cells: Path, recipe: str, seed: int) -> Path:
    """Return the folder of the cell that was trained on the synthetic pairs of a recipe alone."""
    folder = cells / GAN_TRAIN
    _check(
        folder,
        recipe,
        seed,
        "report.gan_train asks for it: run the gan_train stage, or take the recipe out",
    )
    return folder


def _check(folder: Path, recipe: str, seed: int, remedy: str) -> None:
    if not (folder / CELL).is_file() or not (folder / MATRICES).is_file():
        raise UserError(
            f"cell {recipe}, seed {seed} is missing: {folder} has no {CELL} and {MATRICES}; "
            f"{remedy}"
        )
    cell = read_json(folder / CELL)
    if (cell["recipe"], cell["seed"]) != (recipe, seed):
        raise UserError(
            f"{folder} holds recipe {cell['recipe']}, seed {cell['seed']}, not {recipe}, "
            f"seed {seed}; run its segment stage again"
        )


def score_cell(folder: Path, real: Path) -> dict[str, Any]:
    """Score a cell on val and, where there is one, on test; the test entry is None otherwise.

    `real` holds the splits' pair sets; a cell scored on other pairs than theirs is refused.
    """
    result: dict[str, Any] = {}
    with np.load(folder / MATRICES) as arrays:
        for split in SPLITS:
            if not (real / split).is_dir():
                result[split] = None
                continue
            pairs = PairSet(real / split)
            if split not in arrays or arrays[f"{split}_ids"].tolist() != pairs.ids():
                raise UserError(
                    f"{folder} was not scored on the pairs of {pairs.path}; "
                    "run its segment stage again"
                )
            total = arrays[split].astype(np.int64).sum(axis=0)
            result[split] = score_matrix(total, pairs.classes)
    if result["val"] is None:
        raise UserError(f"{real / 'val'} is missing; run the ingest stage")
    return result


def score_matrix(matrix: np.ndarray, classes: ClassTable) -> dict[str, Any]:
    """Return mIoU, mIoU*, IoU by class name and the absent eval classes, in percent or None."""
    found = scores(matrix, classes.eval_ids)
    values = map(_finite, found.iou)
    return {
        "miou": _finite(found.miou),
        "miou_star": _finite(found.miou_star),
        "iou": dict(zip(classes.names, values, strict=True)),
        "absent": [classes.names[index] for index in found.absent],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
