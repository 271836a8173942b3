"""STAGE: let the palettes of trained layouts lean towards classes that segmenters miss."""

import shutil
from pathlib import Path

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import read_json, replacing, write_json
from data.stage.params import check_name, read, read_raw
from data.stage.progress import log
from data.stage.timings import timed
from synth.palettes import adaptive
from synth.palettes.palette import PaletteModel
from synth.training import artifact


def main(
    *, name: str, train: Path, palette: Path, folds: Path, layout: Path, layout_out: Path
) -> None:
    """Write `layout` anew under a name of its own, with palettes that lean.

    What segmenters miss is read off `folds`, where each was scored on real training pairs that it
    had not seen; val and test are not looked at.
    """
    config = read(f"adaptive.{check_name(name)}", adaptive.Config)
    numbers = read_raw("train.folds")
    if not numbers:
        raise UserError("adaptive palettes want folds; set train.folds, for example [0, 1, 2]")
    real = PairSet(train)
    was = artifact.checked(layout, real)
    if name in (*read_raw("train.layouts"), *read_raw("train.joints")):
        raise UserError(f"{name!r} names trained layouts; call those with other palettes otherwise")
    made_of = fingerprint({"adaptive": config.model_dump()}, [train, palette, folds, layout])
    shares, classes = real.column("palette"), real.classes
    iou = adaptive.held_out_iou(folds, numbers, classes.eval_ids)
    with timed(f"adaptive@{name}"), replacing(layout_out) as partial:
        law = adaptive.lean(PaletteModel.load(palette), shares, iou, classes.eval_ids, config)
        shutil.copytree(layout, partial, dirs_exist_ok=True)
        # the method stays what it was; only what it is asked for leans
        about = {"name": name, "method": was.method, "fingerprint": made_of}
        write_json(partial / artifact.DESCRIPTION, read_json(layout / artifact.DESCRIPTION) | about)
        distance = adaptive.divergence(law, shares)
        law.save(partial, iou, distance)
    first = law.importance.argsort()[::-1][:3]
    leant = ", ".join(f"{classes.names[c]} {law.importance[c]:.2f}" for c in first)
    log.info(
        f"{name}: power {law.power:.3g}, {distance:.3f} nat from the real mean, towards {leant}"
    )


if __name__ == "__main__":
    run(main)
