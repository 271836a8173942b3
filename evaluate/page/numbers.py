"""From scores to the numbers of the report: summaries over seeds and differences to `real`."""

from collections.abc import Mapping, Sequence
from typing import Any

from data.stage.errors import UserError
from evaluate.config import BASELINE
from evaluate.statistics import paired_delta, summarize

Json = dict[str, Any]

QUALITY = ("num_pairs", "obedience", "gan_train", "frechet", "fid", "diversity", "copies")
GAN_TEST = ("miou", "miou_star", "num_pairs")  # of the obedience
NO_KL = {"kl": None, "kl_shuffled": None, "num_pairs": None}
NO_CELLS = dict.fromkeys(("miou", "miou_star", "iou", "delta", "delta_star", "iou_delta", "absent"))
NO_FSD = {"fsd": None, "num_layouts": None, "num_held_out": None}


def recipe_numbers(
    scores: Mapping[str, Json],
    recipes: Sequence[str],
    seeds: Sequence[int],
    scored: Sequence[str] = (),
) -> dict[str, Json]:
    """Return the report's entry of every recipe; `scores` are score files by recipe.

    An entry has the val numbers, the same keys under `test` where there is a test split, and how
    good the synthetic pairs are: `obedience`, `gan_test` (its means, under the name that papers
    give them), `gan_train`, `frechet`, `fid`, `diversity` and `copies`, each None where there is
    none. Those of `scored` recipes, which have no cells, are None but for these.
    UserError names a recipe or seed that has no score.
    """
    picked = {recipe: _pick(scores, recipe, seeds) for recipe in recipes}
    result = {}
    for recipe in recipes:
        numbers = _split_numbers(picked[recipe], picked[BASELINE], "val", recipe)
        if all(cell["test"] is not None for cell in picked[recipe].values()):
            numbers["test"] = _split_numbers(picked[recipe], picked[BASELINE], "test", recipe)
        result[recipe] = numbers
    nothing = NO_CELLS | ({"test": NO_CELLS} if "test" in result[BASELINE] else {})
    result |= {recipe: dict(nothing) for recipe in scored}
    for recipe, numbers in result.items():
        numbers |= {key: scores[recipe][key] for key in QUALITY}
        obeyed = None if recipe == BASELINE else numbers["obedience"]
        numbers["gan_test"] = obeyed and {key: obeyed[key] for key in GAN_TEST}
    return result


def with_cells(recipes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the recipes whose segmenters saw real pairs too: the rows of the verdict."""
    return {name: numbers for name, numbers in recipes.items() if numbers["miou"] is not None}


def layout_numbers(
    scores: Mapping[str, Json],
    recipes: Sequence[str],
    table: Mapping[str, Json],
    measures: Mapping[str, Json],
) -> dict[str, Json]:
    """Return KL and FSD by layout method; `table` is the `recipes` section of the parameters.

    A method that several recipes use is shown as the first of them drew it. KL is None for
    methods that are not asked for a whole image's palette. `kl_argmax` is what the generator
    scored before its layouts were rounded to their palette, from the method's own `measures`.
    `none` is the yardstick of FSD: the layouts of the real training pairs.
    """
    result: dict[str, Json] = {}
    for recipe in recipes:
        method = table[recipe]["layouts"]
        if method in result:
            continue
        argmax = measures[method].get("kl_argmax")
        found = (scores[recipe]["layouts"] or NO_KL) | (scores[recipe]["fsd"] or NO_FSD)
        result[method] = {"recipe": recipe, "kl_argmax": argmax} | found
    return result


def head_split(recipes: Mapping[str, Json]) -> str:
    """Return the split that the verdict rests on: test where there is one, else val."""
    return "test" if "test" in recipes[BASELINE] else "val"


def of_split(numbers: Json, split: str) -> Json:
    """Return a recipe's numbers of one split."""
    return numbers if split == "val" else numbers[split]


def _pick(scores: Mapping[str, Json], recipe: str, seeds: Sequence[int]) -> dict[str, Json]:
    cells = scores[recipe]["cells"]
    missing = [str(seed) for seed in seeds if str(seed) not in cells]
    if missing:
        raise UserError(
            f"cell {recipe}, seed {missing[0]} is not in the scores of {recipe}, which has seeds "
            f"{', '.join(cells)}; run its score stage again"
        )
    return {str(seed): cells[str(seed)] for seed in seeds}


def _split_numbers(
    cells: Mapping[str, Json], base: Mapping[str, Json], split: str, recipe: str
) -> Json:
    def column(rows: Mapping[str, Json], key: str) -> dict[str, float]:
        return {seed: row[split][key] for seed, row in rows.items()}

    def of_class(rows: Mapping[str, Json], name: str) -> dict[str, float]:
        return {seed: row[split]["iou"][name] for seed, row in rows.items()}

    def gain(own: dict[str, float], other: dict[str, float]) -> Json | None:
        if recipe == BASELINE or None in own.values() or None in other.values():
            return None
        return paired_delta(own, other)

    first = next(iter(cells.values()))[split]
    per_class = {name: of_class(cells, name) for name in first["iou"]}
    base_class = {name: of_class(base, name) for name in first["iou"]}
    return {
        "miou": summarize(column(cells, "miou")),
        "miou_star": summarize(column(cells, "miou_star")),
        "iou": {name: _mean_or_none(values) for name, values in per_class.items()},
        "delta": gain(column(cells, "miou"), column(base, "miou")),
        "delta_star": gain(column(cells, "miou_star"), column(base, "miou_star")),
        "iou_delta": {name: gain(per_class[name], base_class[name]) for name in per_class},
        "absent": first["absent"],
    }


def _mean_or_none(values: Mapping[str, float | None]) -> float | None:
    if any(value is None for value in values.values()):
        return None
    return summarize(values)["mean"]
