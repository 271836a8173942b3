"""STAGE: list the label filters of params.yaml, so that their folder is there without any.

DVC refuses a dependency that no stage makes, and the rows depend on all filters there are.
"""

from pathlib import Path

from data.stage.cli import run
from data.stage.outputs import write_json
from data.stage.params import read_raw
from segment.batches.mixes import require_slices
from segment.rows import read_rows
from segment.trust import read_filters


def main(*, out: Path) -> None:
    """Check sections `rows` and `trust`, and write the numbers of every filter.

    Needs nothing that was made, so that seeds which no report would compare are refused early.
    """
    read_rows()
    require_slices(read_raw("report.seeds"), read_raw("segment.num_slices"))
    write_json(out, {name: numbers.model_dump() for name, numbers in read_filters().items()})


if __name__ == "__main__":
    run(main)
