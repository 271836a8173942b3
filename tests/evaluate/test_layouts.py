"""KL of asked against obtained palettes."""

import numpy as np
import pytest

from data.pairs.pair import palette_of
from data.pairs.shards import PairSet
from evaluate.metrics.frechet import frechet
from evaluate.metrics.layouts import asked_and_obtained, fidelity, fsd, kl


def test_exact_palettes_score_zero():
    target = np.random.default_rng(0).dirichlet(np.full(35, 0.2), size=50).astype(np.float32)
    assert np.abs(kl(target, target)).max() < 1e-4


def test_by_hand():
    target, obtained = np.array([[0.5, 0.5, 0.0]]), np.array([[0.75, 0.25, 0.0]])
    expected = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert kl(target, obtained)[0] == pytest.approx(expected, abs=1e-5)


def test_a_class_that_is_missing_costs_a_finite_price():
    """The obtained share of 0 counts as 1e-6 before all shares are renormalised."""
    found = kl(np.array([[0.9, 0.1]]), np.array([[1.0, 0.0]]))[0]
    total = 1 + 2e-6
    expected = 0.9 * np.log(0.9 * total / (1 + 1e-6)) + 0.1 * np.log(0.1 * total / 1e-6)
    assert found == pytest.approx(expected)


def test_targets_dealt_out_anew_are_the_scale():
    shares = np.random.default_rng(0).dirichlet(np.ones(5), size=40)
    found = fidelity(shares, shares)
    assert found["kl"] < 1e-4
    assert found["kl_shuffled"] > 0.1
    assert found["num_pairs"] == 40


def test_only_targets_of_whole_images_count(make_project, tmp_path):
    project = make_project(tmp_path)
    sets = {name: PairSet(project / "artifacts/pairs" / name) for name in ("semi", "palette")}
    sets["partial"] = PairSet(project / "artifacts/pairs/partial")
    assert asked_and_obtained(sets["partial"], sets["partial"].select("partial")) is None
    assert asked_and_obtained(sets["semi"], sets["semi"].select("semi")) is None
    rows = sets["palette"].select("palette")
    target, obtained = asked_and_obtained(sets["palette"], rows)
    assert len(target) == 12
    expected = [palette_of(pair.label, 4) for pair in sets["palette"].pairs(rows)]
    np.testing.assert_allclose(obtained, expected)
    assert fidelity(target, obtained)["kl"] < 1e-4


def test_fsd_of_a_set_with_itself_and_in_other_units():
    rng = np.random.default_rng(0)
    shares, others = (rng.dirichlet(np.full(35, 0.2), size=n) for n in (60, 40))
    assert fsd(shares, shares) < 1e-9
    assert fsd(shares, others) == pytest.approx(1e4 * frechet(shares, others))


def test_fsd_by_hand():
    """Road and sky share an image; 10 percent move from one to the other and vary twice as much."""
    moved = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 100
    real = np.stack([0.6 + moved, 0.4 - moved], axis=1)
    generated = np.stack([0.5 + 2 * moved, 0.5 - 2 * moved], axis=1)
    variance = 2.5  # of the moves in percent; one direction of two classes, so twice in the trace
    assert fsd(generated, real) == pytest.approx(2 * 10**2 + 2 * variance * (2 - 1) ** 2)
