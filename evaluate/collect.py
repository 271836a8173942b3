"""Read what the report shows from the artifacts; cells come from the parameters, never a glob."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json
from evaluate.cells import CELL, cell_dir

Json = dict[str, Any]
BUDGET = ("arch", "iterations", "batch_size")  # of a cell: equal for every row of the table


def read_scores(artifacts: Path, recipes: Sequence[str]) -> dict[str, Json]:
    """Return the score file of every recipe; a missing one is named."""
    found = {}
    for recipe in recipes:
        path = artifacts / "scores" / f"{recipe}.json"
        if not path.is_file():
            raise UserError(
                f"scores of recipe {recipe} are missing: there is no {path}; "
                "run its score stage, or take the recipe out of report.recipes"
            )
        found[recipe] = read_json(path)
    return found


def read_joints(artifacts: Path, names: Sequence[str]) -> dict[str, Json]:
    """Return what the painter of every joint scores on real held-out layouts, before and after."""
    found = {}
    for name in names:
        path = artifacts / "scores" / "joints" / f"{name}.json"
        if not path.is_file():
            raise UserError(
                f"scores of joint {name} are missing: there is no {path}; run its stage"
            )
        found[name] = read_json(path)
    return found


def read_cells(
    artifacts: Path, recipes: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[Json]]:
    """Return the cell files of every recipe in the order of the seeds; a missing one is named."""
    return {
        recipe: [
            read_json(cell_dir(artifacts / "segment" / recipe, recipe, seed) / CELL)
            for seed in seeds
        ]
        for recipe in recipes
    }


def budget(cells: Mapping[str, list[Json]]) -> Json:
    """Return {arch, iterations, batch_size}, which all cells share, or name one that differs.

    Cells that were trained for longer, or otherwise, would make the comparison unfair.
    """
    found: dict[tuple[Any, ...], Json] = {}
    for entry in (entry for entries in cells.values() for entry in entries):
        found.setdefault(tuple(entry[key] for key in BUDGET), entry)
    if len(found) > 1:
        (first, one), (other, two) = list(found.items())[:2]
        raise UserError(
            f"cells were trained differently: recipe {one['recipe']}, seed {one['seed']} with "
            f"{_described(first)}, recipe {two['recipe']}, seed {two['seed']} with "
            f"{_described(other)}; run the segment stages again"
        )
    return dict(zip(BUDGET, next(iter(found)), strict=True))


def _described(values: tuple[Any, ...]) -> str:
    return ", ".join(f"{key} {value}" for key, value in zip(BUDGET, values, strict=True))


def read_curve(folder: Path) -> list[Json]:
    """Return the training curve of a method; empty for methods that need no training."""
    path = folder / "curve.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_measures(artifacts: Path, methods: Sequence[str]) -> dict[str, Json]:
    """Return what each layout method measured of itself while it was trained."""
    found = {}
    for method in methods:
        path = artifacts / "layouts" / method / "method.json"
        if not path.is_file():
            raise UserError(f"layout method {method} is missing: there is no {path}; train it")
        found[method] = read_json(path)["measures"]
    return found


def class_shares(train: PairSet) -> list[Json]:
    """Return {name, color, eval, share, images} per class; shares of pixels and images, percent."""
    palettes = train.column("palette").astype(np.float64)
    share, images = palettes.mean(axis=0) * 100, (palettes > 0).mean(axis=0) * 100
    return [
        entry | {"share": float(share[index]), "images": float(images[index])}
        for index, entry in enumerate(train.classes.to_json())
    ]


def val_curves(cells: dict[str, list[Json]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (iterations [K], mIoU [seeds, K]) of every recipe while it was trained.

    Only iterations that every seed of the recipe was scored at are kept.
    """
    curves = {}
    for recipe, entries in cells.items():
        rows = [{int(point[0]): float(point[1]) for point in e["val_curve"]} for e in entries]
        common = sorted(set.intersection(*(set(row) for row in rows)))
        values = [[row[iteration] for iteration in common] for row in rows]
        curves[recipe] = (np.asarray(common), np.asarray(values, dtype=np.float64))
    return curves


def late_rise(iterations: np.ndarray, values: np.ndarray) -> float | None:
    """Return how many points the last quarter of training brought, averaged over seeds.

    The mean of the curve over the last quarter minus that over the quarter before: near zero
    means that the curve is flat. None when a quarter holds no score.
    """
    if not len(iterations):
        return None
    last = iterations > 0.75 * iterations[-1]
    before = (iterations > 0.5 * iterations[-1]) & ~last
    if not before.any():
        return None
    return float(values[:, last].mean() - values[:, before].mean())


def read_aic(palette: Path) -> tuple[list[tuple[int, float]], int] | None:
    """Return ((components, AIC) of every fitted mixture, components of the one in use).

    None without a palette, and for palettes that never vary: no mixture is fitted to those.
    """
    path = palette / "palette.json"
    if not path.is_file():
        return None
    content = read_json(path)
    curve = [(int(entry["components"]), float(entry["aic"])) for entry in content["aic"]]
    return (curve, int(content["components"])) if curve else None


def read_curves(artifacts: Path, table: Mapping[str, Json]) -> dict[tuple[str, str], list[Json]]:
    """Return the training curves by (kind, method) of every method that the recipes use."""
    methods = [("layouts", row["layouts"]) for row in table.values()]
    methods += [("painters", row["painter"]) for row in table.values()]
    return {(kind, name): read_curve(artifacts / kind / name) for kind, name in methods}
