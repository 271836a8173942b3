"""STAGE: list the label filters of params.yaml, so that their folder is there without any.

DVC refuses a dependency that no stage makes, and the rows depend on all filters there are.
"""

from pathlib import Path

from data.stage.cli import run
from data.stage.outputs import write_json
from segment.rows import read_rows
from segment.trust import read_filters


def main(*, out: Path) -> None:
    """Check sections `rows` and `trust`, and write the numbers of every filter."""
    read_rows()
    write_json(out, {name: numbers.model_dump() for name, numbers in read_filters().items()})


if __name__ == "__main__":
    run(main)
