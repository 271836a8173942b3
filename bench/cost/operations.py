"""From multiply-adds to hours, and the table that shows them."""

from collections.abc import Iterable
from dataclasses import dataclass

from data.pairs.classes import ClassTable
from data.sources.ingest import DatasetParams
from data.stage.errors import UserError
from data.stage.params import read

TFLOPS, UTILISATION = 156.0, 0.3
"""An A100's dense TF32 peak, which PyTorch takes for float32 convolutions, and an assumed share."""

FORMULA = "hours = 2 * multiply-adds / (utilisation * TFLOP/s * 1e12) / 3600"


@dataclass(frozen=True)
class Work:
    """A part of a stage: `steps` times `each` multiply-adds."""

    stage: str
    part: str
    steps: int
    each: float


def dataset() -> tuple[ClassTable, tuple[int, int]]:
    """Return classes and size (height, width) that params.yaml asks for; no dataset is read."""
    params = read("dataset", DatasetParams)
    source, config = params.chosen()
    return source.class_table(config), (params.height, params.width)


def hours(multiply_adds: float, *, tflops: float, utilisation: float) -> float:
    """Return the hours that a device of `tflops` takes when it reaches `utilisation` of them."""
    if tflops <= 0 or not 0 < utilisation <= 1:
        raise UserError("--tflops is above 0, --utilisation above 0 and at most 1; correct them")
    return 2 * multiply_adds / (utilisation * tflops * 1e12) / 3600


def table(works: Iterable[Work], *, tflops: float, utilisation: float) -> list[str]:
    """Return the lines of a table: every part, a sum for each stage and for all, the formula."""
    row = "{:<28} {:<28} {:>9} {:>12} {:>11} {:>9}".format
    lines = [row("stage", "part", "steps", "GMAC a step", "PMAC", "hours")]
    total, sums = 0.0, {}

    def shown(stage: str, part: str, steps: str, each: str, all_of_it: float) -> str:
        spent = hours(all_of_it, tflops=tflops, utilisation=utilisation)
        return row(stage, part, steps, each, f"{all_of_it / 1e15:,.2f}", f"{spent:,.2f}")

    for work in works:
        product = work.steps * work.each
        each = f"{work.each / 1e9:,.1f}"
        lines.append(shown(work.stage, work.part, f"{work.steps:,}", each, product))
        sums[work.stage] = sums.get(work.stage, 0.0) + product
        total += product
    lines += [shown(stage, "all", "", "", product) for stage, product in sums.items()]
    lines.append(shown("all", "", "", "", total))
    lines.append(f"{FORMULA}; here {utilisation:g} * {tflops:g} TFLOP/s, both assumed")
    return lines
