"""STAGE: train a segmenter on all folds of the real training pairs but one, score it on that one.

Scored on pairs that it has not seen, without a look at val: what such segmenters miss is what
palettes may lean towards (`synth/palettes/adaptive.py`).
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from data.pairs.shards import PairSet, ShardWriter
from data.sources import SOURCES
from data.sources.ingest import DatasetParams
from data.sources.splits import by_group
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing, write_json
from data.stage.params import choose, read, read_raw
from data.stage.timings import timed
from segment import opencv
from segment.stages.train import Config, build_config

FOLDS_SEED = 0


def main(*, fold: int, train: Path, out: Path) -> None:
    """Train one segmenter without one fold of the real training pairs; score it on that fold.

    Videos, cities or scenes, where the dataset has them, are never cut.
    """
    folds = read_raw("train.folds")
    if len(folds) < 2 or folds != list(range(len(folds))) or fold not in folds:
        raise UserError(f"train.folds = {folds}; number two folds or more from 0: [0, 1, 2]")
    config = read("segment", Config)
    # one score, at the end: nothing is chosen by the others
    config = config.model_copy(update={"val_every": config.iterations})
    real = PairSet(train)
    held_out = divide(real.ids(), groups_of(read("dataset", DatasetParams)), len(folds))[fold]
    model_config = build_config(config, real.classes, real.size)
    opencv.check()
    # here, so that wrong parameters are refused before seconds of imports
    from segment.cell import train_cell

    torch.set_num_threads(config.threads)
    rows = {"train": [], "val": []}
    for row, name in enumerate(real.ids()):
        rows["val" if name in held_out else "train"].append(row)
    with timed(f"fold@{fold}") as timing, replacing(out) as folder:
        parts = folder / "parts"
        cell = train_cell(
            {name: _part(real, rows[name], parts / name) for name in rows},
            model_config,
            seed=fold,
            label=f"segment fold {fold}",
            work_dir=folder / "work",
            **config.model_dump(exclude={"arch", "archs", "threads"}),
        )
        shutil.rmtree(parts)
        params = {"fold": fold, "num_folds": len(folds), "model": model_config}
        params |= config.model_dump(mode="json", exclude={"archs"})
        weights = [] if config.weights is None else [config.weights]
        content = {
            "fold": fold,
            "num_folds": len(folds),
            "held_out": [name for name in real.ids() if name in held_out],
            "classes": list(real.classes.names),
            "confusion": cell.matrices["val"].sum(axis=0).tolist(),
            "fingerprint": fingerprint(params, [train, *weights]),
        }
        write_json(folder / "fold.json", content)
        timing.images = config.iterations * config.batch_size


def groups_of(dataset: DatasetParams) -> dict[str, str]:
    """Return the group (video, city, scene) of the training pairs by id, empty where there is none.

    Reads names of files only; streets, which have no groups, are rendered for theirs.
    """
    source = choose(dataset.source, SOURCES, "dataset source")
    config, size = getattr(dataset, dataset.source), (dataset.height, dataset.width)
    with tempfile.TemporaryDirectory() as scratch:
        root = source.prepare(dataset.root, ("train",), config, size, Path(scratch))
        return {pair.id: pair.group for pair in source.find(root, ("train",), config)}


def divide(ids: Sequence[str], groups: dict[str, str], num_folds: int) -> list[set[str]]:
    """Divide pairs into folds of about the same size, each group whole; the same in every run.

    A pair without a group is one by itself. Raises `UserError` for fewer groups than folds.
    """
    # a group may be called like a pair
    whole = {n: f"group {groups[n]}" if groups.get(n) else f"pair {n}" for n in ids}
    found = len(set(whole.values()))
    if found < num_folds:
        raise UserError(
            f"the training pairs come from {found} videos, cities or scenes, too few for "
            f"{num_folds} folds; shorten train.folds"
        )
    shares = {str(number): 1 / num_folds for number in range(num_folds)}
    return list(by_group(whole, shares, FOLDS_SEED).values())


def _part(real: PairSet, rows: Sequence[int], out: Path) -> PairSet:
    with ShardWriter(out, classes=real.classes, size=real.size, fingerprint="fold") as writer:
        for pair in real.pairs(rows):
            writer.write(pair)
    return PairSet(out)


if __name__ == "__main__":
    run(main)
