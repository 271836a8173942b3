"""STAGE: score one recipe: its cells, its layouts and how well its images obey them."""

from pathlib import Path
from typing import Any

from data.cli import run
from data.outputs import write_json
from data.params import check_name, read
from data.shards import PairSet
from data.timings import timed
from evaluate.cells import cell_dir, score_cell, score_matrix
from evaluate.config import BASELINE, ReportParams
from evaluate.images import load_judge, obedience, scored_rows
from evaluate.layouts import layout_fidelity
from evaluate.rows import spread


def main(*, recipe: str, pairs: Path, cells: Path, judge: Path, real: Path, out: Path) -> None:
    """Score one recipe: its cells, its layouts and how its images obey them."""
    check_name(recipe)
    params = read("report", ReportParams)
    folders = {seed: cell_dir(cells, recipe, seed) for seed in params.seeds}
    judge_dir = cell_dir(judge, BASELINE, params.seeds[0])
    pair_set = PairSet(pairs)
    synthetic = pair_set.select(recipe)
    with timed(f"score@{recipe}") as timing:
        result: dict[str, Any] = {
            "recipe": recipe,
            "classes": pair_set.classes.to_json(),
            "num_pairs": dict(pair_set.manifest["sources"]),
            "cells": {str(seed): score_cell(path, real) for seed, path in folders.items()},
            "judge": {"seed": params.seeds[0]} | score_cell(judge_dir, real)["val"],
            "layouts": None if recipe == BASELINE else layout_fidelity(pair_set, synthetic),
        }
        # of the baseline: the real pairs that the judge was trained on, the others' yardstick
        rows = spread(synthetic, min(params.num_scored, len(synthetic)))
        if recipe != BASELINE:
            rows = scored_rows(synthetic, params.num_scored)
        predict = load_judge(judge_dir, threads=params.threads)
        matrix = obedience(pair_set, rows, predict, batch_size=params.batch_size)
        result["obedience"] = {"num_pairs": len(rows)} | score_matrix(matrix, pair_set.classes)
        timing.images = len(rows)
        write_json(out, result)


if __name__ == "__main__":
    run(main)
