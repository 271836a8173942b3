"""The folder artifacts/judge: a segmenter trained on real pairs, and what it sees in real pairs."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from evaluate.cells import CELL, Cell, group_sums, read_splits, values
from evaluate.config import ReportParams
from evaluate.metrics.inception import Inception
from evaluate.metrics.judge import Judge, features, load_judge
from evaluate.metrics.metric import RealPairs, Reference

Json = dict[str, Any]
JUDGE, FEATURES, TRAINED = "judge.json", "real.npz", "cell"
PARTS = ("ids", "palettes", "features", "inception")
SPLITS = ("train", "val")


def describe(
    real: Path, cell: Cell, judge: Judge, params: ReportParams, inception: Inception | None
) -> Reference:
    """Compute what every set is compared with, from the real train and val pairs."""

    def of(split: str) -> RealPairs:
        pairs, batch = PairSet(real / split), params.batch_size
        rows = range(len(pairs))
        return RealPairs(
            tuple(pairs.ids()),
            pairs.column("palette"),
            features(pairs, rows, judge.describe, batch_size=batch),
            None
            if inception is None
            else features(pairs, rows, inception.describe, batch_size=batch),
        )

    val = read_splits(real)[0]
    miou = values(group_sums(cell, val).sum(axis=0), val.eval_ids)[0]
    return Reference(of("train"), of("val"), float(miou))


def write(folder: Path, reference: Reference, cell: Cell, about: Mapping[str, Any]) -> None:
    """Write the judge and the reference into an empty folder."""
    from segment.predict import WEIGHTS

    (folder / TRAINED).mkdir()
    for name in (CELL, WEIGHTS):
        shutil.copyfile(cell.folder / name, folder / TRAINED / name)
    arrays = {
        f"{split}_{part}": np.asarray(value)
        for split in SPLITS
        for part in PARTS
        if (value := getattr(getattr(reference, split), part)) is not None
    }
    np.savez(folder / FEATURES, allow_pickle=False, **arrays)
    write_json(folder / JUDGE, {"val_miou": reference.val_miou} | dict(about))


def load(folder: Path, params: ReportParams) -> tuple[Judge, Reference]:
    """Return the judge and the reference of a folder."""
    if not (folder / JUDGE).is_file():
        raise UserError(f"the judge is missing: there is no {folder / JUDGE}; run its stage")
    about = read_json(folder / JUDGE)
    with np.load(folder / FEATURES) as arrays:

        def of(split: str) -> RealPairs:
            parts: dict[str, Any] = {part: arrays.get(f"{split}_{part}") for part in PARTS}
            parts["ids"] = tuple(parts["ids"].tolist())
            return RealPairs(**parts)

        reference = Reference(of("train"), of("val"), about["val_miou"])
    return load_judge(folder / TRAINED), reference
