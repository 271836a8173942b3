"""STAGE: train one layout method on real pairs and the fitted palettes."""

from pathlib import Path

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.params import check_name, choose, read
from synth.layouts import LAYOUTS
from synth.palettes.palette import PaletteModel
from synth.training.method import Method
from synth.training.session import TrainingParams, run_training, together


def main(*, method: str, train: Path, palette: Path, out: Path) -> None:
    """Train one layout method; one that needs no training leaves only its description."""
    entry = choose(check_name(method), LAYOUTS, "layout method")
    config = read(f"layouts.{method}", entry.Config)
    palettes = PaletteModel.load(palette)

    def build(real: PairSet) -> Method | None:
        return entry.build(
            num_classes=real.classes.num_classes,
            size=real.size,
            palettes=palettes,
            **config.model_dump(),
        )

    run_training(
        stage="layout",
        name=method,
        config=config.model_dump(mode="json"),
        build=build,
        measure=entry.measures,
        training=read("training", TrainingParams),
        pairs=train,
        inputs=[train, palette],
        out=out,
    )


if __name__ == "__main__":
    run(together(main))
