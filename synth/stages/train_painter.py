"""STAGE: train one painter on real pairs."""

from pathlib import Path

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.params import Params, check_name, choose, read
from synth.painters import PAINTERS
from synth.training.method import Method
from synth.training.session import TrainingParams, run_training, together


def main(*, method: str, train: Path, out: Path) -> None:
    """Train one painter; one that needs no training leaves only its description."""
    entry = choose(check_name(method), PAINTERS, "painter")
    config = read(f"painters.{method}", entry.Config)

    def build(real: PairSet) -> Method | None:
        return entry.build(
            num_classes=real.classes.num_classes, size=real.size, **config.model_dump()
        )

    run_training(
        stage="painter",
        name=method,
        config=config.model_dump(mode="json"),
        build=build,
        measure=lambda method, nets: {},
        training=read("training", TrainingParams),
        pairs=train,
        inputs=[train, *weight_files(config)],
        out=out,
    )


def weight_files(config: Params) -> list[Path]:
    """Return the files that a painter reads besides pairs: their content is part of what it is."""
    return [value for _, value in config if isinstance(value, Path)]


if __name__ == "__main__":
    run(together(main))
