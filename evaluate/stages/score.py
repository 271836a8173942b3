"""STAGE: score one recipe: its cells, its layouts and how good its synthetic pairs are."""

from pathlib import Path
from typing import Any

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.outputs import write_json
from data.stage.params import check_name, read
from data.stage.timings import timed
from evaluate.cells import cell_dir, gan_train_dir, score_cell
from evaluate.config import BASELINE, ReportParams
from evaluate.metrics.fid import load_inception
from evaluate.metrics.images import load_judge, scored_rows
from evaluate.metrics.layouts import layout_fidelity
from evaluate.metrics.quality import quality
from evaluate.statistics import spread


def main(
    *, recipe: str, pairs: Path, repainted: Path, cells: Path, judge: Path, real: Path, out: Path
) -> None:
    """Score one recipe: its cells, its layouts and how good its synthetic pairs are."""
    check_name(recipe)
    params = read("report", ReportParams)
    inception = None if params.fid_weights is None else load_inception(params.fid_weights)
    seeds = () if recipe in params.scored else params.seeds
    folders = {seed: cell_dir(cells, recipe, seed) for seed in seeds}
    judge_dir = cell_dir(judge, BASELINE, params.seeds[0])
    pair_set, held_out, again = PairSet(pairs), PairSet(real / "val"), PairSet(repainted)
    synthetic = pair_set.select(recipe)
    # of the baseline: the real pairs that the judge was trained on, the others' yardstick
    rows = spread(synthetic, min(params.num_scored, len(synthetic)))
    if recipe != BASELINE:
        rows = scored_rows(synthetic, params.num_scored)
    alone = gan_train(recipe, params, cells, real, len(synthetic))
    with timed(f"score@{recipe}") as timing:
        seen_by = load_judge(judge_dir, threads=params.threads)
        about = {"seed": params.seeds[0], "features": seen_by.features, "sha256": seen_by.sha256}
        result: dict[str, Any] = {
            "recipe": recipe,
            "classes": pair_set.classes.to_json(),
            "num_pairs": dict(pair_set.manifest["sources"]),
            "cells": {str(seed): score_cell(path, real) for seed, path in folders.items()},
            "gan_train": alone,
            "judge": about | score_cell(judge_dir, real)["val"],
            "layouts": None if recipe == BASELINE else layout_fidelity(pair_set, synthetic),
        }
        result |= quality(
            pair_set,
            rows,
            held_out,
            seen_by,
            batch_size=params.batch_size,
            repainted=again,
            inception=inception,
        )
        timing.images = len(rows)
        write_json(out, result)


def gan_train(
    recipe: str, params: ReportParams, cells: Path, real: Path, num_pairs: int
) -> dict[str, Any] | None:
    """Score the cell that saw synthetic pairs alone on the real splits; None without one."""
    if recipe not in params.gan_train:
        return None
    seed = params.seeds[0]
    found = score_cell(gan_train_dir(cells, recipe, seed), real)
    test = {} if found["test"] is None else {"test": found["test"]}
    return {"seed": seed, "num_pairs": num_pairs} | found["val"] | test


if __name__ == "__main__":
    run(main)
