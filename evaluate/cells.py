"""Trained segmenters (cells): their confusion matrices, summed by group of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.schema import schema
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json

SPLITS = ("val", "test")
CELL, MATRICES = "cell.json", "confusion.npz"
MAX_BLOCKS = 32  # of neighbouring images, where a dataset names no groups
HIT, TRUTH, UNION, UNION_ALL = range(4)


@dataclass(frozen=True)
class Split:
    """The images of a split: which group each belongs to, and the classes they are scored on.

    `group` is int64 `[N]` with values in `range(len(groups))`; `named` says whether the dataset
    names the groups (videos, cities) or whether they are blocks of neighbouring images.
    """

    name: str
    pairs: PairSet
    group: np.ndarray
    groups: tuple[str, ...]
    named: bool

    @property
    def eval_ids(self) -> tuple[int, ...]:
        """Ids of the classes that mIoU is the mean of."""
        return self.pairs.classes.eval_ids


def read_splits(real: Path) -> list[Split]:
    """Return val and, where there is one, test."""
    if not (real / "val").is_dir():
        raise UserError(f"{real / 'val'} is missing; run the ingest stage")
    return [_split(real / name) for name in SPLITS if (real / name).is_dir()]


def _split(path: Path) -> Split:
    pairs = PairSet(path)
    known = "group" in schema(pairs.classes, pairs.size).names
    names = [name or "" for name in pairs.column("group")] if known else []
    named = len(set(names)) > 1
    if not named:
        count = min(MAX_BLOCKS, len(pairs))
        names = [f"block {row * count // len(pairs):02d}" for row in range(len(pairs))]
    groups, group = np.unique(np.asarray(names, str), return_inverse=True)
    return Split(path.name, pairs, group, tuple(groups.tolist()), named)


@dataclass(frozen=True)
class Cell:
    """A trained segmenter: its row and seed, and what cell.json says of it."""

    row: str
    seed: int
    folder: Path
    about: dict[str, Any]


def read_cell(folder: Path, row: str, seed: int) -> Cell:
    """Return a finished cell; a missing or foreign one is named."""
    if not (folder / CELL).is_file() or not (folder / MATRICES).is_file():
        raise UserError(
            f"cell {row}, seed {seed} is missing: {folder} has no {CELL} and {MATRICES}; "
            "run its segment stage, or take the row or the seed out of `report`"
        )
    about = read_json(folder / CELL)
    if (about["row"], about["seed"]) != (row, seed):
        raise UserError(
            f"{folder} holds row {about['row']}, seed {about['seed']}, not {row}, seed {seed}; "
            "run its segment stage again"
        )
    return Cell(row, seed, folder, about)


@dataclass(frozen=True)
class Roles:
    """What rows are to each other, by what their cells say of their training.

    `rows` learn from real and synthetic pairs and compete with the `baselines`, which learn from
    the same real pairs alone. `other_numbers` learn from real pairs alone too, but fewer or more of
    them; `controls` from pairs that were spoiled on purpose, and `alone` from no real pair.
    `num_real` is the number of real pairs that a row, or who made its sets, has seen.
    """

    rows: tuple[str, ...]
    baselines: tuple[str, ...]
    other_numbers: tuple[str, ...]
    controls: tuple[str, ...]
    alone: tuple[str, ...]
    num_real: Mapping[str, int]

    @property
    def oracles(self) -> tuple[str, ...]:
        """Rows of more real pairs than those of the baselines, which must help."""
        used = min((self.num_real[row] for row in self.baselines), default=0)
        return tuple(row for row in self.other_numbers if self.num_real[row] > used)

    @property
    def kinds(self) -> dict[str, str]:
        """What rows are that neither compete nor are compared with, each kind judged by itself."""
        kinds = ("other_numbers", "controls", "alone")
        return {row: kind for kind in kinds for row in getattr(self, kind)}


def roles_of(cells: Mapping[str, Sequence[Cell]], num_train: int) -> Roles:
    """Return the roles of rows, given their cells and the number of real training pairs."""
    found: dict[str, list[str]] = {}
    num_real = {}
    for row, (cell, *_) in cells.items():
        about = cell.about
        num_real[row] = about.get("real_pairs") or num_train
        if about.get("control", "none") != "none":
            kind = "controls"
        elif about.get("real") == 0:
            kind = "alone"
        elif about.get("synthetic"):
            kind = "rows"
        else:
            kind = "baselines" if num_real[row] == num_train else "other_numbers"
        found.setdefault(kind, []).append(row)
    kinds = ("rows", "baselines", "other_numbers", "controls", "alone")
    return Roles(**{kind: tuple(found.get(kind, ())) for kind in kinds}, num_real=num_real)


def group_sums(cell: Cell, split: Split) -> np.ndarray:
    """Return what scores are computed from, summed by group: float64 `[G, 4, C]`.

    A cell that was scored on other pairs than those of the split is refused.
    """
    with np.load(cell.folder / MATRICES) as arrays:
        ids = arrays[f"{split.name}_ids"].tolist() if split.name in arrays else None
        if ids != split.pairs.ids():
            raise UserError(
                f"{cell.folder} was not scored on the pairs of {split.pairs.path}; "
                "run its segment stage again"
            )
        matrices = arrays[split.name]
    result = np.zeros((len(split.groups), 4, matrices.shape[-1]))
    np.add.at(result, split.group, sums_of(matrices, split.eval_ids))
    return result


def sums_of(matrices: np.ndarray, eval_ids: Sequence[int]) -> np.ndarray:
    """Return hit, truth, union, union over all classes of matrices, `[..., C, C]` -> `[..., 4, C]`.

    All four are sums over pixels, so those of several images are added up. The union of an eval
    class leaves out pixels whose ground truth is not an eval class.
    """
    evaluated = np.zeros(matrices.shape[-1], bool)
    evaluated[list(eval_ids)] = True
    hit = np.diagonal(matrices, axis1=-2, axis2=-1).astype(np.float64)
    truth = matrices.sum(axis=-1, dtype=np.float64)
    of_all = truth + matrices.sum(axis=-2, dtype=np.float64) - hit
    of_eval = truth + matrices[..., evaluated, :].sum(axis=-2, dtype=np.float64) - hit
    return np.stack([hit, truth, np.where(evaluated, of_eval, of_all), of_all], axis=-2)


def values(sums: np.ndarray, eval_ids: Sequence[int]) -> np.ndarray:
    """Return mIoU, mIoU* and the IoU of every class in percent: `[..., 4, C]` -> `[..., 2 + C]`.

    The same numbers as `data.pairs.confusion.scores`; NaN for a class without ground truth.
    """
    hit, truth, union, of_all = np.moveaxis(sums, -2, 0)
    iou = np.where(truth > 0, hit / np.maximum(union, 1), np.nan) * 100
    star = (hit / np.maximum(of_all, 1)).mean(axis=-1) * 100
    counted = truth[..., list(eval_ids)] > 0
    total = np.where(counted, iou[..., list(eval_ids)], 0).sum(axis=-1)
    number = counted.sum(axis=-1)
    miou = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return np.concatenate([np.stack([miou, star], axis=-1), iou], axis=-1)
