"""The report's numbers from score files."""

import math

import pytest

from data.stage.errors import UserError
from evaluate.page.numbers import NO_KL, head_split, layout_numbers, recipe_numbers


def split(miou: float, car: float | None) -> dict:
    return {"miou": miou, "miou_star": miou / 2, "iou": {"road": miou, "car": car}, "absent": []}


def score(val: list[float], test: list[float] | None = None, car: float | None = 10.0) -> dict:
    cells = {
        str(seed): {"val": split(value, car), "test": split(test[seed], car) if test else None}
        for seed, value in enumerate(val)
    }
    nothing = dict.fromkeys(["layouts", "fsd", "gan_train", "frechet", "fid", "diversity"])
    nothing["copies"] = None
    obedience = {"miou": 30.0, "miou_star": 15.0, "iou": {}, "absent": [], "num_pairs": 5}
    return {"cells": cells, "obedience": obedience, "num_pairs": {"real": 6}} | nothing


def test_gains_are_paired_by_seed():
    scores = {"real": score([40, 50, 60], [30, 30, 33]), "semi": score([41, 52, 63], [29, 29, 29])}
    found = recipe_numbers(scores, ["real", "semi"], [0, 1, 2])
    assert found["real"]["delta"] is None
    assert found["real"]["miou"]["std"] == pytest.approx(10)
    semi = found["semi"]
    half = 4.302653 * 1 / math.sqrt(3)  # t(0.975, 2), differences 1, 2, 3
    assert semi["delta"]["mean"] == pytest.approx(2)
    assert semi["delta"]["low"] == pytest.approx(2 - half, abs=1e-5)
    assert semi["delta"]["high"] == pytest.approx(2 + half, abs=1e-5)
    assert semi["delta_star"]["mean"] == pytest.approx(1)
    assert semi["test"]["delta"]["mean"] == pytest.approx(-2)
    assert semi["iou_delta"]["road"]["mean"] == pytest.approx(2)
    assert head_split(found) == "test"


def test_a_class_without_ground_truth_has_no_number():
    scores = {"real": score([40, 50], car=None), "semi": score([41, 52], car=None)}
    found = recipe_numbers(scores, ["real", "semi"], [0, 1])["semi"]
    assert found["iou"] == {"road": 46.5, "car": None}
    assert found["iou_delta"]["car"] is None
    assert "test" not in found


def test_a_seed_without_score_is_named():
    scores = {"real": score([40, 50, 60]), "semi": score([41, 52])}
    with pytest.raises(UserError, match="cell semi, seed 2 is not in the scores"):
        recipe_numbers(scores, ["real", "semi"], [0, 1, 2])


def test_further_seeds_in_the_scores_are_left_out():
    scores = {"real": score([40, 50, 90])}
    assert recipe_numbers(scores, ["real"], [0, 1])["real"]["miou"]["mean"] == 45


def test_gan_test_is_the_mean_of_the_obedience_and_not_of_real_pairs():
    alone = {"seed": 0, "num_pairs": 8, "miou": 12.0}
    scores = {"real": score([40, 50]), "semi": score([41, 52]) | {"gan_train": alone}}
    found = recipe_numbers(scores, ["real", "semi"], [0, 1])
    assert found["real"]["gan_test"] is None
    assert found["semi"]["gan_test"] == {"miou": 30.0, "miou_star": 15.0, "num_pairs": 5}
    assert found["semi"]["gan_train"] == alone
    assert found["semi"]["copies"] is None


def test_layouts_go_by_method_and_by_the_first_recipe_that_uses_it():
    def kl(value: float) -> dict:
        found = {"kl": value, "kl_shuffled": 1.0, "num_pairs": 4}
        return score([40]) | {"layouts": found}

    fsd = {"fsd": 3.5, "num_layouts": 4, "num_held_out": 6}
    real = score([40]) | {"fsd": fsd}
    scores = {"real": real, "semi": score([40]), "palette": kl(0.2), "palette_da": kl(0.3)}
    table = {
        "real": {"layouts": "none"},
        "semi": {"layouts": "real"},
        "palette": {"layouts": "semantic_palette"},
        "palette_da": {"layouts": "semantic_palette"},
    }
    measures = {"none": {}, "real": {}, "semantic_palette": {"kl_argmax": 0.4}}
    found = layout_numbers(scores, list(scores), table, measures)
    assert set(found) == {"none", "real", "semantic_palette"}
    assert found["none"] == {"recipe": "real", "kl_argmax": None} | NO_KL | fsd
    assert found["semantic_palette"]["fsd"] is None
    assert found["semantic_palette"]["kl"] == 0.2
    assert found["semantic_palette"]["recipe"] == "palette"
    assert found["semantic_palette"]["kl_argmax"] == 0.4
    assert found["real"]["kl"] is None and found["real"]["kl_argmax"] is None
