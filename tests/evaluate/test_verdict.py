"""Words that follow from intervals."""

import pytest

from evaluate.statistics import paired_delta, summarize
from evaluate.verdict import interval, verdict


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
