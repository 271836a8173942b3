"""STAGE: train one layout method on real pairs and the fitted palettes."""

from pathlib import Path

from data.stage.cli import run
from data.stage.params import check_name, choose
from synth.layouts import LAYOUTS
from synth.layouts.common.fitting import run_fit
from synth.palettes.palette import PaletteModel
from synth.training.session import run_training
from synth.training.team import run_in_team


def main(*, method: str, train: Path, palette: Path, out: Path, detail: Path | None = None) -> None:
    """Train or fit one layout method; one that needs neither leaves only its description.

    `detail` has the pairs of `train` in more detail, or is empty: what objects are cut from.
    """
    entry = choose(check_name(method), LAYOUTS, "layout method")
    if entry.fit is not None:
        run_fit(method, entry, train=train, detail=detail, out=out)
        return
    run_training(
        "layout",
        method,
        entry,
        pairs=train,
        inputs=[train, palette],
        palettes=PaletteModel.load(palette),
        out=out,
    )


if __name__ == "__main__":
    run(run_in_team(main))
