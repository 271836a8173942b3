"""STAGE: write the report of all recipes and seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import replacing, write_json, write_text
from data.stage.params import read, read_raw
from data.stage.timings import timed
from evaluate import collect, provenance
from evaluate.config import BASELINE, ReportParams
from evaluate.page import figures
from evaluate.page.numbers import layout_numbers, recipe_numbers, with_cells
from evaluate.page.page import page

REDISTRIBUTABLE = frozenset({"streets"})  # datasets whose pixels a published report may show


def main(*, artifacts: Path, out: Path) -> None:
    """Write report.md, report.json and figures/ from the artifacts of all stages."""
    params = read("report", ReportParams)
    check_slices(params.seeds, read_raw("segment.num_slices"))
    scores = collect.read_scores(artifacts, params.rows)
    cells = collect.read_cells(artifacts, params.recipes, params.seeds)
    train = PairSet(artifacts / "real" / "train")
    sets = {name: PairSet(artifacts / "pairs" / name) for name in params.rows}
    report = numbers(params, scores, train, artifacts) | {"budget": collect.budget(cells)}
    curves = collect.val_curves(cells)
    with timed("report"), replacing(out / "figures") as folder:
        drawn = [
            *figures.draw_scores(folder, with_cells(report["recipes"]), report["classes"], curves),
            *figures.draw_pairs(folder, sets, train, params.sheet_rows),
            *figures.draw_closest(folder, sets, report["recipes"]),
            *figures.draw_palettes(
                folder, sets, train, collect.read_aic(artifacts / "palette"), params.palette_classes
            ),
            *figures.draw_training(
                folder, collect.read_curves(artifacts, report["params"]["recipes"])
            ),
        ]
        report["figures"] = [figure.to_json() for figure in drawn]
        rises = {name: collect.late_rise(*curve) for name, curve in curves.items()}
        timings = provenance.timings(artifacts / "timings.jsonl")
        text = page(report, drawn, rises, timings)
        write_json(out / "report.json", report)
        write_text(out / "report.md", text)


def check_slices(seeds: Sequence[int], num_slices: int) -> None:
    """Refuse seeds that read the same synthetic pairs: their cells are not independent."""
    if len({seed % num_slices for seed in seeds}) < len(seeds):
        raise UserError(
            f"report.seeds {list(seeds)} share slices of the synthetic pairs, because "
            f"segment.num_slices is {num_slices}; raise it to the number of seeds or more "
            "(and produce.num_pairs with it), so that every seed draws its own pairs"
        )


def numbers(
    params: ReportParams, scores: dict[str, Any], train: PairSet, artifacts: Path
) -> dict[str, Any]:
    """Return the numbers of report.json and where they come from."""
    used = provenance.used_params(params.rows)
    source = used["dataset"]["source"]
    methods = {used["recipes"][recipe]["layouts"] for recipe in params.rows}
    measures = collect.read_measures(artifacts, sorted(methods))
    return {
        "revision": provenance.revision(),
        "dataset": source,
        "redistributable": source in REDISTRIBUTABLE,
        "preset": provenance.preset(),
        "size": list(train.size),
        "seeds": list(params.seeds),
        "recipes": recipe_numbers(scores, params.recipes, params.seeds, params.scored),
        "layouts": layout_numbers(scores, params.rows, used["recipes"], measures),
        "joints": collect.read_joints(artifacts, list(used.get("joints", {}))),
        "judge": scores[BASELINE]["judge"],
        "classes": collect.class_shares(train),
        "params": used,
        "versions": provenance.versions(),
    }


if __name__ == "__main__":
    run(main)
