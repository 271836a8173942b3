"""STAGE: train a segmenter on all folds of the real training pairs but one, score it on that one.

Scored on pairs that it has not seen, without a look at val: what such segmenters miss is what
palettes may lean towards (`synth/palettes/adaptive.py`).
"""

from pathlib import Path

from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import replacing, write_json
from data.stage.params import read, read_raw
from data.stage.timings import timed
from segment.config import Config, set_up
from segment.folds import divide


def main(*, fold: int, train: Path, out: Path) -> None:
    """Train one segmenter without one fold of the real training pairs; score it on that fold.

    Videos, cities or scenes, where the dataset has them, are never cut.
    """
    folds = read_raw("train.folds")
    if len(folds) < 2 or folds != list(range(len(folds))) or fold not in folds:
        raise UserError(f"train.folds = {folds}; number two folds or more from 0: [0, 1, 2]")
    config = read("segment", Config)
    real = PairSet(train)
    held_out = divide(real, len(folds), "the number of train.folds")[fold]
    setup = set_up(config, real, f"fold {fold}")
    from segment.cell import train_without

    with timed(f"fold@{fold}") as timing, replacing(out) as folder:
        cell = train_without(
            real,
            held_out,
            setup,
            seed=fold,
            label=f"segment fold {fold}",
            work_dir=folder / "work",
        )
        about = {"fold": fold, "num_folds": len(folds)}
        content = {
            **about,
            "held_out": cell.ids["val"],
            "classes": list(real.classes.names),
            "confusion": cell.matrices["val"].sum(axis=0).tolist(),
            "fingerprint": setup.made_of(about, [train]),
        }
        write_json(folder / "fold.json", content)
        timing.images = config.iterations * cell.mix.batch_size


if __name__ == "__main__":
    run(main)
