"""Summaries and paired intervals against closed forms, scipy and hand calculation."""

import math

import pytest
from scipy import stats

from evaluate.statistics import (
    HELPS,
    HURTS,
    NO_EVIDENCE,
    ONE_SEED,
    judgement,
    paired_delta,
    summarize,
)


def test_summary_by_hand():
    found = summarize({"0": 40.0, "1": 42.0, "2": 47.0})
    assert found["mean"] == 43.0
    assert found["std"] == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert found["n"] == 3
    assert found["cells"] == {"0": 40.0, "1": 42.0, "2": 47.0}


def test_one_seed_has_neither_deviation_nor_interval():
    assert summarize({"4": 40.0})["std"] is None
    delta = paired_delta({"4": 40.0}, {"4": 38.5})
    assert (delta["mean"], delta["low"], delta["high"]) == (1.5, None, None)
    assert judgement(delta) == ONE_SEED


def test_interval_of_two_pairs_is_the_closed_form():
    """With one degree of freedom t is a Cauchy variable: its 97.5 % point is tan(0.475 pi)."""
    delta = paired_delta({"0": 41.0, "1": 43.0}, {"0": 40.0, "1": 40.0})
    half = math.tan(0.475 * math.pi) * math.sqrt(2) / math.sqrt(2)
    assert delta["mean"] == 2.0
    assert delta["low"] == pytest.approx(2 - half)
    assert delta["high"] == pytest.approx(2 + half)


def test_interval_is_that_of_the_paired_t_test():
    own = {"0": 41.2, "1": 39.9, "2": 44.1, "3": 40.6}
    base = {"0": 40.0, "1": 40.3, "2": 42.2, "3": 38.1}
    expected = stats.ttest_rel(list(own.values()), list(base.values())).confidence_interval(0.95)
    delta = paired_delta(own, dict(reversed(base.items())))
    assert delta["low"] == pytest.approx(expected.low)
    assert delta["high"] == pytest.approx(expected.high)
    assert "paired t" in delta["method"]


def test_pairing_removes_what_the_seeds_share():
    """Seeds that differ by tens of points say a lot when every pair differs by the same."""
    base = {"0": 20.0, "1": 50.0, "2": 80.0}
    delta = paired_delta({seed: value + 1 for seed, value in base.items()}, base)
    assert (delta["low"], delta["high"]) == (pytest.approx(1), pytest.approx(1))


def test_other_seeds_are_refused():
    with pytest.raises(ValueError, match="seeds differ"):
        paired_delta({"0": 1.0, "1": 2.0}, {"0": 1.0, "2": 2.0})


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.1, 2, HELPS), (-2, -0.1, HURTS), (-1, 2, NO_EVIDENCE)]
)
def test_words_follow_the_interval(low, high, word):
    assert judgement({"mean": (low + high) / 2, "low": low, "high": high}) == word
