"""The folder artifacts/judge: a segmenter trained on real pairs, and what real pairs are like."""

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
from evaluate.metrics.components import pieces
from evaluate.metrics.features import Eyes, Seen, see
from evaluate.metrics.inception import Inception
from evaluate.metrics.judge import Judge, features, load_judge
from evaluate.metrics.metric import RealPairs, Reference

Json = dict[str, Any]
JUDGE, FEATURES, TRAINED = "judge.json", "real.npz", "cell"
SPLITS = ("train", "val")


def describe(
    real: Path, cell: Cell, params: ReportParams, eyes: Eyes | None, inception: Inception | None
) -> Reference:
    """Compute what every set is compared with, from the real train and val pairs."""

    def of(split: str) -> RealPairs:
        pairs, batch = PairSet(real / split), params.batch_size
        rows = range(len(pairs))
        labels = (pairs.arrays(row)[1] for row in rows)
        return RealPairs(
            tuple(pairs.ids()),
            tuple(pairs.column("group")),
            pairs.column("palette"),
            pieces(labels, pairs.classes.num_classes),
            None if eyes is None else see(pairs, rows, eyes, batch_size=batch),
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
        f"{split}_{part}": value
        for split in SPLITS
        for part, value in _arrays(getattr(reference, split)).items()
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
            found = {
                name.removeprefix(f"{split}_"): arrays[name]
                for name in arrays.files
                if name.startswith(f"{split}_")
            }
            return _real_pairs(found)

        reference = Reference(of("train"), of("val"), about["val_miou"])
    return load_judge(folder / TRAINED), reference


def _arrays(pairs: RealPairs) -> dict[str, np.ndarray]:
    """Return what a file holds of real pairs; what there is none of is left out."""
    found = {
        "ids": np.asarray(pairs.ids),
        "groups": np.asarray([name or "" for name in pairs.groups]),
        "palettes": pairs.palettes,
        "pieces": pairs.pieces,
    }
    if pairs.seen is not None:
        found["pooled"] = pairs.seen.pooled
        if pairs.seen.apart is not None:
            found["apart"] = np.asarray(pairs.seen.apart)
    return found if pairs.inception is None else found | {"inception": pairs.inception}


def _real_pairs(arrays: Mapping[str, np.ndarray]) -> RealPairs:
    """Return real pairs as `_arrays` wrote them."""
    seen = None
    if "pooled" in arrays:
        seen = Seen(arrays["pooled"], float(arrays["apart"]) if "apart" in arrays else None)
    return RealPairs(
        tuple(arrays["ids"].tolist()),
        tuple(name or None for name in arrays["groups"].tolist()),
        arrays["palettes"],
        arrays["pieces"],
        seen,
        arrays.get("inception"),
    )
