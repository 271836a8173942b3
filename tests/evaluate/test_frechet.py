"""Frechet distance against closed forms, at full rank and below."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from evaluate.metrics.frechet import effective_rank, frechet


def sample(count: int, dims: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dims)) @ rng.normal(size=(dims, dims)) + rng.normal(size=dims)


@pytest.mark.parametrize(("count", "dims"), [(50, 4), (5, 40)])
def test_a_set_is_at_zero_from_itself_and_a_shift_costs_its_square(count, dims):
    rows, shift = sample(count, dims), np.linspace(-2, 3, dims)
    scale = rows.var(axis=0, ddof=1).sum()
    assert frechet(rows, rows) <= 1e-12 * scale
    assert frechet(rows, rows[::-1]) <= 1e-12 * scale
    assert frechet(rows, rows + shift) == pytest.approx((shift**2).sum(), rel=1e-9)
    assert frechet(rows + 1e6, rows + 1e6 + shift) == pytest.approx((shift**2).sum(), rel=1e-6)


def test_a_stretched_set_costs_the_differences_of_its_deviations():
    rows = sample(30, 3)
    expected = (rows.std(axis=0, ddof=1) ** 2).sum() * (3 - 1) ** 2
    centred = rows - rows.mean(axis=0)
    assert frechet(centred, 3 * centred) == pytest.approx(expected)
    assert frechet(np.array([[0.0], [2.0]]), np.array([[5.0], [15.0]])) == pytest.approx(
        (1 - 10) ** 2 + (np.sqrt(2) - np.sqrt(50)) ** 2
    )


def test_it_is_the_published_formula_with_a_matrix_root():
    a, b = sample(40, 6, seed=1), sample(60, 6, seed=2)
    first, second = np.cov(a.T), np.cov(b.T)
    shift = a.mean(axis=0) - b.mean(axis=0)
    root = sqrtm(first @ second).real
    expected = shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root)
    assert frechet(a, b) == pytest.approx(expected)
    assert frechet(b, a) == pytest.approx(expected)


def test_below_full_rank_the_distance_is_still_exact():
    """Samples that vary along axes of their own share nothing: the variances add up."""
    a, b = np.zeros((3, 50)), np.zeros((4, 50))
    a[:, 0], b[:, 1] = [-1, 0, 1], [-3, -1, 1, 3]
    assert frechet(a, b) == pytest.approx(1 + 20 / 3)


def test_small_samples_of_one_law_are_further_apart():
    rng = np.random.default_rng(0)
    few, many = (frechet(rng.normal(size=(n, 20)), rng.normal(size=(n, 20))) for n in (10, 100))
    assert few > 3 * many > 0


def test_effective_rank_by_hand():
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert effective_rank(corners) == pytest.approx(2)
    assert effective_rank(corners * [3, 1]) == pytest.approx((9 + 1) ** 2 / (81 + 1))
    assert effective_rank(np.outer(range(5), [1, 2, 3])) == pytest.approx(1)
    assert effective_rank(np.ones((4, 3))) == 0


def test_one_row_has_no_covariance():
    with pytest.raises(ValueError, match="two rows or more"):
        frechet(np.ones((1, 3)), sample(4, 3))
