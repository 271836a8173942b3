"""Synthetic pairs in labels: known curves read backwards, their bounds and intervals."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.cells import Cell, Roles, roles_of
from evaluate.verdicts.labels import (
    FEWER,
    MORE_THAN,
    Number,
    learning_curve,
    pairs_needed,
    worth_of,
)

NUMBERS = np.array([37, 92, 266])
CURVE = np.array([40.0, 50.0, 56.0])


@pytest.mark.parametrize(
    ("level", "pairs"),
    [
        (45.0, np.sqrt(37 * 92)),  # half the points: the middle in the logarithm
        (50.0, 92),
        (53.0, np.sqrt(92 * 266)),
        (56.0, 266),
        (40.0, 37),
        (39.9, 0),
        (56.1, np.inf),
    ],
)
def test_a_curve_is_read_backwards(level: float, pairs: float) -> None:
    assert pairs_needed(NUMBERS, CURVE, np.array(level)) == pytest.approx(pairs)


def test_a_curve_that_falls_stays_at_its_highest() -> None:
    falls = np.array([40.0, 50.0, 48.0])
    assert pairs_needed(NUMBERS, falls, np.array(45.0)) == pytest.approx(np.sqrt(37 * 92))
    assert pairs_needed(NUMBERS, falls, np.array(50.5)) == np.inf
    flat = np.array([40.0, 40.0, 50.0])
    first = pairs_needed(NUMBERS, flat, np.array(40.0))
    assert first == pytest.approx(37), "the first that reaches it"
    assert pairs_needed(NUMBERS, flat, np.array(45.0)) == pytest.approx(np.sqrt(92 * 266))


def test_many_curves_are_read_at_once() -> None:
    rng = np.random.default_rng(0)
    curves = rng.normal(CURVE, 3, (50, 3))
    levels = rng.normal(50, 4, 50)
    together = pairs_needed(NUMBERS, curves, levels)
    one_by_one = [pairs_needed(NUMBERS, c, level) for c, level in zip(curves, levels, strict=True)]
    np.testing.assert_allclose(together, one_by_one)
    assert np.isinf(together).any() and (together == 0).any()


SEEDS = np.array([-0.01, 0.0, 0.01, 0.0, 0.0])
ACCURACY = {
    "real_37": 0.70,
    "real": 0.78,
    "real_more": 0.80,
    "real_all": 0.90,
    "between": 0.85,
    "good": 0.96,
    "poor": 0.60,
    "shuffled": 0.50,
}
USED = dict.fromkeys(ACCURACY, 92) | {"real_37": 37, "real_all": 266}
ROLES = Roles(
    rows=("between", "good", "poor"),
    baselines=("real", "real_more"),
    other_numbers=("real_37", "real_all"),
    controls=("shuffled",),
    alone=(),
    num_real=USED,
)


@pytest.fixture
def measured(measure):
    return measure({row: (accuracy + SEEDS).tolist() for row, accuracy in ACCURACY.items()})


def test_the_curve_has_the_best_row_of_each_number(measured) -> None:
    curve = learning_curve(measured, ROLES)
    assert [(p.pairs, p.row) for p in curve] == [
        (37, "real_37"),
        (92, "real_more"),
        (266, "real_all"),
    ]
    assert curve[1].miou.mean == pytest.approx(measured.values("real_more")[:, 0].mean())
    assert curve[1].miou.n == 5 and curve[1].miou.std > 0


def test_rows_are_worth_what_the_curve_says(measured) -> None:
    worth = worth_of(measured, ROLES)
    assert [row.row for row in worth.rows] == ["good", "between", "poor"], "best first"
    between = worth.of("between")
    means = np.array([point.miou.mean for point in worth.curve])
    level = measured.values("between")[:, 0].mean()
    by_hand = 92 * (266 / 92) ** ((level - means[1]) / (means[2] - means[1]))
    assert between.labels == Number(pytest.approx(by_hand))
    assert between.labels.over(92).value == pytest.approx(by_hand / 92)
    assert 92 < between.low.value < by_hand < between.high.value <= 266
    good, poor = worth.of("good"), worth.of("poor")
    assert (good.labels, good.high) == (Number(266.0, MORE_THAN), Number(266.0, MORE_THAN))
    assert (poor.labels, poor.low) == (Number(37.0, FEWER), Number(37.0, FEWER))
    assert worth.of("shuffled") is None
    said = {row["row"]: row for row in worth.to_json()["worth"]}
    assert said["good"]["factor"]["times"] == {
        "value": pytest.approx(266 / 92),
        "bound": "at least",
    }
    assert said["between"]["used"] == 92


def test_the_interval_holds_the_noise_of_the_curve_too(measured, measure) -> None:
    """The same row beside a curve whose seeds disagree."""
    noisy = measure(
        {
            row: (accuracy + (SEEDS * 6 if row == "real_all" else SEEDS)).tolist()
            for row, accuracy in ACCURACY.items()
        }
    )
    widths = []
    for found in (measured, noisy):
        between = worth_of(found, ROLES).of("between")
        widths.append(np.log(between.high.value / between.low.value))
    assert widths[1] > 1.5 * widths[0]


def test_a_row_with_one_seed_has_no_interval(measured, measure) -> None:
    once = measure({row: [accuracy] * 5 for row, accuracy in ACCURACY.items()} | {"good": [0.85]})
    found = worth_of(once, ROLES)
    assert found.of("good").low is None and found.of("between").low is not None
    assert found.of("good").to_json()["low"] is None


def test_one_number_of_real_pairs_is_no_curve(measured) -> None:
    assert worth_of(measured, replace(ROLES, other_numbers=())) is None


def test_roles_follow_from_how_rows_were_trained(tmp_path) -> None:
    def cell(row: str, **about) -> list[Cell]:
        return [Cell(row, 0, tmp_path, {"real": 4, "synthetic": 0} | about)]

    cells = {
        "real": cell("real"),
        "colours": cell("colours", augment=["photometric"], real_pairs=92),
        "few": cell("few", real_pairs=37),
        "all": cell("all", real_pairs=266),
        "semi": cell("semi", synthetic=4, real_pairs=92),
        "alone": cell("alone", synthetic=4, real=0, real_pairs=0),
        "shuffled": cell("shuffled", synthetic=4, control="shuffled_labels"),
    }
    roles = roles_of(cells, 92)
    assert roles.rows == ("semi",) and roles.baselines == ("real", "colours")
    assert roles.other_numbers == ("few", "all") and roles.oracles == ("all",)
    assert roles.controls == ("shuffled",) and roles.alone == ("alone",)
    assert roles.num_real == dict.fromkeys(cells, 92) | {"few": 37, "all": 266}
    assert set(roles.kinds) == {"few", "all", "shuffled", "alone"}
