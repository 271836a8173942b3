"""Render the embedded data set for a look: `python -m data.sources.streets --out DIR`."""

from pathlib import Path

from data.sources.ingest import DatasetParams
from data.sources.streets import source
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import replacing
from data.stage.params import read


def main(*, out: Path) -> None:
    """Render the streets of `dataset.streets` in params.yaml, in the Cityscapes layout."""
    dataset = read("dataset", DatasetParams)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} holds something already; name a new folder or empty it")
    with replacing(out) as folder:
        config = read("dataset.streets", source.Config)
        size = (dataset.height, dataset.width)
        source.prepare(dataset.root, dataset.splits, config, size, folder)


if __name__ == "__main__":
    run(main)
