"""Summaries, intervals and corrections against closed forms, scipy and hand calculation."""

import math

import numpy as np
import pytest
from scipy import stats

from evaluate.statistics import (
    HELPS,
    HURTS,
    NO_EVIDENCE,
    Interval,
    draw,
    evenly,
    holm,
    judgement,
    paired,
    spread_of,
    t_interval,
    widened,
)


def of(own, base, drawn=None) -> Interval:
    columns = (np.asarray(values, np.float64)[:, None] for values in (own, base))
    (found,) = paired(*columns, None if drawn is None else np.asarray(drawn)[:, None])
    return found


def test_summary_by_hand():
    found = spread_of([40.0, 42.0, 47.0])
    assert (found.mean, found.n) == (43.0, 3)
    assert found.std == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert spread_of([40.0]).std is None


def test_one_seed_has_no_interval():
    assert of([40.0], [38.5]) == Interval(1.5, None, None, 1, None)
    assert judgement(of([40.0], [38.5]), None) == NO_EVIDENCE


def test_interval_of_two_pairs_is_the_closed_form():
    """With one degree of freedom t is a Cauchy variable: its 97.5 % point is tan(0.475 pi)."""
    found = of([41.0, 43.0], [40.0, 40.0])
    half = math.tan(0.475 * math.pi) * math.sqrt(2) / math.sqrt(2)
    assert (found.mean, found.low, found.high) == (2.0, *map(pytest.approx, (2 - half, 2 + half)))


def test_interval_is_that_of_the_paired_t_test():
    own, base = np.array([41.2, 39.9, 44.1, 40.6]), np.array([40.0, 40.3, 42.2, 38.1])
    expected = stats.ttest_rel(own, base)
    low, high, p = t_interval(own - base)
    bounds = expected.confidence_interval(0.95)
    assert (low, high, p) == tuple(map(pytest.approx, (*bounds, expected.pvalue)))


def test_pairing_removes_what_the_seeds_share():
    """Seeds that differ by tens of points say a lot when every pair differs by the same."""
    found = of([21.0, 51.0, 81.0], [20.0, 50.0, 80.0])
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))
    assert found.excludes_zero and found.p == 0


def test_an_interval_spans_what_seeds_and_what_images_allow():
    """Alike seeds say little about other images, alike images little about other seeds."""
    images = np.random.default_rng(0).normal(1, 5, 4000)
    found = of([21.0, 51.0, 81.0], [20.0, 50.0, 80.0], images)
    tails = np.quantile(images, [0.025, 0.975])
    assert (found.low, found.high) == tuple(map(pytest.approx, tails))
    assert not found.excludes_zero and found.p > 0.5
    own, base = [41.0, 39.0, 44.0], [40.0, 40.0, 40.0]
    assert of(own, base, np.full(4000, 4 / 3)).low == pytest.approx(of(own, base).low)


def test_the_bootstrap_alone_is_too_narrow_for_three_seeds():
    """Why the t interval is there: draws of three seeds miss the truth far more often than 5 %."""
    rng = np.random.default_rng(1)
    seeds = draw(1, 3).seeds[:500]
    missed = {"bootstrap": 0, "both": 0}
    for _ in range(400):
        differences = rng.normal(0, 1, 3)
        drawn = seeds @ differences
        low, high = np.quantile(drawn, [0.025, 0.975])
        missed["bootstrap"] += not low <= 0 <= high
        missed["both"] += of(differences, np.zeros(3), drawn).excludes_zero
    assert missed["bootstrap"] > 0.15 * 400
    assert missed["both"] < 0.08 * 400


def test_draws_are_the_same_for_all_rows_and_hold_as_many_groups_and_seeds():
    found = draw(7, 3)
    np.testing.assert_array_equal(found.groups, draw(7, 3).groups)
    assert (found.groups.sum(axis=1) == 7).all()
    np.testing.assert_allclose(found.seeds.sum(axis=1), 1)
    assert found.groups.std() == pytest.approx(math.sqrt(6 / 7), rel=0.05)


def test_a_score_that_is_no_number_has_no_interval():
    own, base = np.array([[1.0, np.nan], [2.0, 3.0]]), np.zeros((2, 2))
    assert [found is None for found in paired(own, base)] == [False, True]


def test_holm_by_hand():
    assert holm([0.01, 0.04, None, 0.03]) == [
        pytest.approx(0.03),
        pytest.approx(0.06),
        None,
        pytest.approx(0.06),
    ]
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "word"),
    [
        (0.1, 2, 0.01, HELPS),
        (-2, -0.1, 0.01, HURTS),
        (-1, 2, 0.4, NO_EVIDENCE),
        (0.1, 2, 0.06, NO_EVIDENCE),
    ],
)
def test_words_follow_the_interval_and_the_number_of_rows(low, high, adjusted, word):
    assert judgement(Interval((low + high) / 2, low, high, 3, 0.02), adjusted) == word


def test_rows_are_spread_over_the_whole_set():
    assert evenly(range(100, 110), 4) == [100, 102, 105, 107]
    assert evenly(range(3), 5) == [0, 1, 2]
    assert evenly([], 5) == []


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_few_seeds_are_stretched_to_their_t_interval(seeds):
    scores = np.random.default_rng(seeds).normal(50, 2, seeds)
    low, high, _ = t_interval(scores)
    found = widened(np.tile(scores, (4000, 1)), draw(8, seeds))
    tails = np.quantile(found, [0.025, 0.975])
    assert tails[1] - tails[0] == pytest.approx(high - low, rel=0.2)
    assert found.mean() == pytest.approx(scores.mean(), abs=0.3)


def test_groups_are_not_stretched():
    groups = np.random.default_rng(0).normal(50, 2, (4000, 1)).repeat(4, axis=1)
    np.testing.assert_allclose(widened(groups, draw(8, 4)), groups[:, 0])
