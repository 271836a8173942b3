"""STAGE: train a segmenter on all folds of the real training pairs but one, score it on that one.

Scored on pairs that it has not seen, without a look at val: what such segmenters miss is what
palettes may lean towards (`synth/palettes/adaptive.py`).
"""

from pathlib import Path

from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.compute import begin
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing, write_json
from data.stage.params import read, read_raw
from data.stage.timings import timed
from segment import opencv
from segment.config import Config, build_config
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
    model_config = build_config(config, real.classes, real.size)
    opencv.check()
    # here, so that wrong parameters are refused before seconds of imports
    from segment.cell import train_without

    compute = begin("segmenters", f"fold {fold}")
    with timed(f"fold@{fold}") as timing, replacing(out) as folder:
        cell = train_without(
            real,
            held_out,
            config,
            model_config,
            compute,
            seed=fold,
            label=f"segment fold {fold}",
            work_dir=folder / "work",
        )
        params = {"fold": fold, "num_folds": len(folds), "model": model_config}
        params |= config.model_dump(mode="json", exclude={"archs"}) | {"compute": compute.to_json()}
        weights = [] if config.weights is None else [config.weights]
        content = {
            "fold": fold,
            "num_folds": len(folds),
            "held_out": cell.ids["val"],
            "classes": list(real.classes.names),
            "confusion": cell.matrices["val"].sum(axis=0).tolist(),
            "fingerprint": fingerprint(params, [train, *weights]),
        }
        write_json(folder / "fold.json", content)
        timing.images = config.iterations * cell.mix.batch_size


if __name__ == "__main__":
    run(main)
