"""Halving and its plan, on scores and paces written by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from evaluate.advice.images import halved
from evaluate.advice.schedule import Heat, counts, halve, plan, survivors

NAN = float("nan")
HEATS = (Heat(4, 4.0), Heat(4, 8.0), Heat(9, 8.0))
SHOWN = 4 * (4 * 25 + 2 * 50) + 8 * (4 * 25 + 2 * 50) + 8 * (9 * 25 + 5 * 50 + 3 * 100)
EACH = 100 * (4 + 8 + 8)  # pairs of one seed of the confirmation


def test_the_better_half_survives_ties_in_order_and_nothing_known_last() -> None:
    scores = {"a": 1.0, "b": 3.0, "c": 3.0, "d": NAN, "e": 2.0}
    assert survivors(scores, 0.5) == ["b", "c", "e"]
    assert survivors(scores, 0.2) == ["b"]
    assert survivors({"a": NAN}, 0.5) == ["a"]
    assert counts(9, 3, 0.5) == [9, 5, 3]
    assert counts(4, 3, 0.5) == [4, 2, 0], "one row has nobody to compete with"
    assert counts(1, 2, 0.5) == [0, 0]


def test_rows_are_trained_as_long_as_they_survive() -> None:
    asked: list[tuple[str, int]] = []

    def score(row: str, iterations: int) -> float:
        asked.append((row, iterations))
        # `late` is poor at first, and the best once it is trained long
        return {"late": iterations - 60.0, "flat": 5.0, "poor": -90.0, "bad": -99.0}[row]

    ladder = halve(["flat", "bad", "late", "poor"], [25, 50, 100], 0.5, score)
    assert asked == [
        ("flat", 25),
        ("bad", 25),
        ("late", 25),
        ("poor", 25),
        ("flat", 50),
        ("late", 50),
    ]
    assert ladder.winner == "flat" and ladder.last == 5.0
    assert [list(rung.scores) for rung in ladder.rungs] == [
        ["flat", "late", "poor", "bad"],
        ["flat", "late"],
    ]
    asked.clear()
    assert halve(["alone"], [25, 50], 0.5, score).winner == "alone"
    assert not asked, "there is no choice"


def planned(contest: Callable, seconds: float, pace: float = 1.0, **changes):
    params = contest(**changes).params
    return plan(params, 100, HEATS, pace=pace, seconds=seconds)


def test_a_large_budget_confirms_with_every_seed(contest: Callable) -> None:
    found = planned(contest, SHOWN + 5 * EACH)
    assert found.lengths == (25, 50, 100) and found.seeds == (0, 1, 2, 3, 4)
    assert found.seconds == pytest.approx(SHOWN + 5 * EACH)
    assert planned(contest, 10 * SHOWN).seeds == (0, 1, 2, 3, 4), "no more than are given"
    slower = planned(contest, SHOWN + 5 * EACH, pace=1.01)
    assert slower.lengths == (25, 50, 100) and slower.seeds == (0, 1, 2, 3)


def test_a_smaller_budget_shortens_the_search_and_not_the_confirmation(contest: Callable) -> None:
    found = planned(contest, SHOWN / 2 + 3 * EACH)
    assert found.lengths == (12, 25, 50) and found.seeds == (0, 1, 2)
    assert found.seconds <= SHOWN / 2 + 3 * EACH


def test_a_budget_that_is_too_small_says_what_would_do(contest: Callable) -> None:
    found = planned(contest, SHOWN / 4 + 2 * EACH)
    assert found.lengths == (6, 12, 25) and found.seeds == (0, 1)
    assert planned(contest, 1.0).seeds == ()
    assert found.needed == planned(contest, 1.0).needed
    assert len(planned(contest, found.needed + 1).seeds) == 3, "what is said to be needed is enough"


def test_more_seeds_choose_at_their_price(contest: Callable) -> None:
    seeds = {"search": [5, 6], "confirm": [0, 1, 2, 3, 4]}
    found = planned(contest, 2 * SHOWN + 3 * EACH, seeds=seeds)
    assert found.lengths == (25, 50, 100) and found.seeds == (0, 1, 2)


@pytest.mark.parametrize("sizes", [[1, 1], [5], [40, 3, 3, 2, 30, 7], [1] * 9])
def test_val_is_halved_by_whole_groups(sizes: list[int]) -> None:
    half = halved(sizes, seed=0)
    assert half == halved(sizes, seed=0)
    other = [group for group in range(len(sizes)) if group not in half]
    assert half and (other or len(sizes) == 1)
    if len(sizes) > 1:
        apart = abs(sum(sizes[g] for g in half) - sum(sizes[g] for g in other))
        assert apart <= max(sizes)
    assert len({tuple(halved([1] * 12, seed)) for seed in range(8)}) > 1
    assert np.all(np.diff(half) > 0)
