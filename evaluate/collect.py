"""Curves, class fractions and mixtures, read from the artifacts for the report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.shards import PairSet
from data.stage.outputs import read_json

Json = dict[str, Any]


def read_curve(folder: Path) -> list[Json]:
    """Return the training curve of a method; empty for methods that need no training."""
    path = folder / "curve.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def class_fractions(train: PairSet) -> list[Json]:
    """Return {name, color, eval, fraction, images} per class, of pixels and of images, percent."""
    palettes = train.column("palette").astype(np.float64)
    fraction, images = palettes.mean(axis=0) * 100, (palettes > 0).mean(axis=0) * 100
    return [
        entry | {"fraction": float(fraction[index]), "images": float(images[index])}
        for index, entry in enumerate(train.classes.to_json())
    ]


def val_curves(
    cells: Mapping[str, Sequence[Sequence[Sequence[float]]]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (iterations [K], mIoU [seeds, K]) by row, from cells' [[iteration, mIoU, ...], ...].

    Only iterations that every seed of the row was scored at are kept.
    """
    curves = {}
    for row, entries in cells.items():
        points = [{int(point[0]): float(point[1]) for point in entry} for entry in entries]
        common = sorted(set.intersection(*map(set, points)))
        values = [[scores[iteration] for iteration in common] for scores in points]
        curves[row] = (np.asarray(common), np.asarray(values, dtype=np.float64))
    return curves


def late_rise(iterations: np.ndarray, values: np.ndarray) -> float | None:
    """Return how many points the last quarter of training brought, of values `[seeds, N]`.

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


def read_choice(palette: Path) -> tuple[str, list[tuple[int, float]], int] | None:
    """Return what the number of components was chosen by, (components, score) of every fitted
    mixture, the lowest score is best, and the components of the one in use.

    None without a palette, and for palettes that never vary: no mixture is fitted to those.
    """
    path = palette / "palette.json"
    if not path.is_file():
        return None
    content = read_json(path)
    curve = [(int(entry["components"]), float(entry["score"])) for entry in content["curve"]]
    return (content["chosen_by"], curve, int(content["components"])) if curve else None


def read_curves(artifacts: Path, sets: Mapping[str, Json]) -> dict[tuple[str, str], list[Json]]:
    """Return the training curves by (kind, method) of every method that the sets use."""
    methods = [("layouts", made["layouts"]) for made in sets.values()]
    methods += [("painters", made["painter"]) for made in sets.values()]
    return {(kind, name): read_curve(artifacts / kind / name) for kind, name in methods}
