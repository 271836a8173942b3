"""STAGE: train one generator of images from noise alone, for `make bench-painters`."""

from pathlib import Path

from data.stage.cli import run
from data.stage.params import check_name, choose
from synth.training.session import run_training
from synth.training.team import run_in_team
from synth.unconditional import UNCONDITIONAL


def main(*, method: str, train: Path, out: Path) -> None:
    """Train one unconditional generator on the images of real pairs."""
    run_training(
        "unconditional",
        method,
        choose(check_name(method), UNCONDITIONAL, "unconditional generator"),
        pairs=train,
        inputs=[train],
        palettes=None,
        out=out,
    )


if __name__ == "__main__":
    run(run_in_team(main))
