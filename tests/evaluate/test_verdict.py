"""Words that follow from intervals."""

import pytest

from evaluate.statistics import paired_delta, summarize
from evaluate.verdict import class_verdict, interval, verdict


def recipe(own: list[float], base: list[float]) -> dict:
    cells, other = ({str(s): v for s, v in enumerate(values)} for values in (own, base))
    return {"miou": summarize(cells), "delta": paired_delta(cells, other)}


def on_test(val: dict, test: dict) -> dict:
    return val | {"test": test}


def test_each_recipe_is_said_to_be_what_its_interval_says():
    base = [40.0, 42.0, 41.0]
    recipes = {
        "real": recipe(base, base),
        "better": recipe([45.0, 47.1, 46.0], base),
        "worse": recipe([35.0, 37.1, 36.0], base),
        "unclear": recipe([39.0, 44.0, 41.5], base),
        "unclear_too": recipe([41.0, 40.0, 41.5], base),
    }
    text = verdict(recipes, "streets")
    assert text.startswith(
        "**On val: `better` helps; `worse` hurts; "
        "no evidence that `unclear` or `unclear_too` helps or hurts.**"
    )
    assert "3 seeds per recipe" in text
    assert "41.0 ± 1.0 mIoU" in text
    assert "conditional on one trained generator" in text


def test_the_verdict_rests_on_test_where_there_is_one():
    base, better, same = [40.0, 42.0, 41.0], [45.0, 47.1, 46.0], [40.0, 42.1, 40.8]
    recipes = {
        "real": on_test(recipe(base, base), recipe(base, base)),
        "semi": on_test(recipe(better, base), recipe(same, base)),
    }
    text = verdict(recipes, "streets")
    assert text.startswith("**On test: no evidence that `semi` helps or hurts.**")
    assert "On val, for comparison: `semi` +5.0 [+4.9, +5.2] (helps)" in text


def test_one_seed_says_nothing_about_chance():
    recipes = {"real": recipe([40.0], [40.0]), "semi": recipe([50.0], [40.0])}
    text = verdict(recipes, "streets")
    assert "**One seed: nothing can be said about chance.**" in text
    assert "helps" not in text
    assert "±" not in text


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        ((-1.05, -2.131, 0.031), "-1.05 [-2.13, +0.03]"),
        ((-0.9, -2.1, 0.3), "-0.9 [-2.1, +0.3]"),
        ((-0.001, None, None), "+0.0"),
    ],
)
def test_a_bound_near_zero_keeps_its_side(delta, text):
    assert interval(dict(zip(("mean", "low", "high"), delta, strict=True))) == text


def by_class(deltas: dict[str, tuple[float, float, float] | None]) -> dict:
    """Entry of a recipe whose classes gain (mean, low, high); None is a class without an IoU."""
    keys = ("mean", "low", "high")
    gains = {name: delta and dict(zip(keys, delta, strict=True)) for name, delta in deltas.items()}
    return {"delta": {}, "iou_delta": gains}


CLASSES = [
    {"name": "void", "share": 9.0, "eval": False},
    {"name": "bike", "share": 1.0, "eval": True},
    {"name": "road", "share": 60.0, "eval": True},
    {"name": "pole", "share": 0.5, "eval": True},
]


def test_classes_are_said_to_be_helped_hurt_or_noise():
    noise = (0.5, -1.0, 2.0)
    recipes = {
        "real": {"delta": None, "iou_delta": {}},
        "palette": by_class({"void": (9, 8, 10), "bike": (6, 2, 10), "road": noise, "pole": None}),
        "partial": by_class(
            {"void": noise, "bike": (9.94, 9, 11), "road": (-2, -3, -1), "pole": noise}
        ),
    }
    assert class_verdict(recipes, CLASSES) == (
        "* **Helped:** bike (`palette` +6.0, `partial` +9.9).\n"
        "* **Hurt:** road (`partial` -2.0).\n"
        "* **Noise:** the other 2 of 5 gains; their intervals hold zero. "
        "By chance alone about 0.25 of 5 intervals exclude it."
    )


def test_no_class_stands_out():
    recipes = {
        "real": {"delta": None, "iou_delta": {}},
        "palette": by_class({"void": None, "bike": (1, -1, 3), "road": (1, -1, 3), "pole": None}),
    }
    assert class_verdict(recipes, CLASSES).startswith("* **Noise:** all 2 gains; their")


def test_classes_of_one_seed_are_not_judged():
    gains = {"bike": {"mean": 1.0, "low": None, "high": None}}
    recipes = {"real": {"delta": None}, "palette": {"delta": {}, "iou_delta": gains}}
    assert class_verdict(recipes, CLASSES[1:2]) == ""
