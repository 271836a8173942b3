"""STAGE: train one painter on real pairs."""

from pathlib import Path

from data.stage.cli import run
from data.stage.params import check_name, choose
from synth.painters import PAINTERS
from synth.training.defaults import Hooks
from synth.training.session import run_training
from synth.training.team import run_in_team


def main(*, method: str, train: Path, out: Path) -> None:
    """Train one painter; one that needs no training leaves only its description."""
    entry = choose(check_name(method), PAINTERS, "painter")
    run_training(
        "painter",
        method,
        entry,
        pairs=train,
        inputs=[train],
        palettes=None,
        out=out,
        hooks=Hooks(entry.begin, entry.end),
    )


if __name__ == "__main__":
    run(run_in_team(main))
