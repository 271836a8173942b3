"""Palette controls: what is asked is kept, the rest keeps its proportions, the law is a floor."""

import numpy as np
import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.stage.errors import UserError
from synth.palettes.controls import Controls, control, describe
from tests.synth.scenes import law_of

NAMES = ("road", "sky", "car", "person", "void")
CLASSES = ClassTable(tuple(ClassInfo(name, (0, 0, 0)) for name in NAMES))


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """200 palettes; persons are rare, void is constant."""
    rng = np.random.default_rng(0)
    shares = np.zeros((200, 5))
    shares[:, :4] = rng.dirichlet([30, 20, 8, 1], 200) * 0.9
    shares[:, 4] = 0.1
    return shares


@pytest.fixture(scope="module")
def palettes(real):
    return law_of(real, most=3)


def drawn(palettes, real, n=40, **asked):
    made = control(Controls(**asked), CLASSES, palettes, real)
    return np.stack([made.sample(seed) for seed in range(n)])


def test_without_controls_a_draw_is_that_of_the_law(palettes, real) -> None:
    made = drawn(palettes, real, 5)
    plain = np.stack([palettes.sample(1, seed)[0] for seed in range(5)])
    np.testing.assert_allclose(made, plain, atol=1e-7)


def test_every_control_is_kept_and_shares_sum_to_one(palettes, real) -> None:
    asked = {"absent": ["void"], "exactly": {"sky": 0.2}, "at_least": {"person": 0.05}}
    made = drawn(palettes, real, **asked)
    np.testing.assert_allclose(made.sum(1), 1, atol=1e-6)
    assert (made[:, 4] == 0).all()
    np.testing.assert_allclose(made[:, 1], 0.2, atol=1e-6)
    assert (made[:, 3] >= 0.05 - 1e-6).all()
    assert made[:, 3].max() > 0.05 + 1e-3  # a larger share is left as it is


def test_free_classes_keep_their_proportions(palettes, real) -> None:
    made = control(Controls(exactly={"person": 0.3}), CLASSES, palettes, real)
    kept = made.apply(np.array([0.4, 0.3, 0.2, 0.05, 0.05]))
    np.testing.assert_allclose(
        kept, np.array([0.4, 0.3, 0.2, 0, 0.05]) * 0.7 / 0.95 + [0, 0, 0, 0.3, 0]
    )


def test_a_raised_class_holds_when_others_are_raised_after_it(palettes, real) -> None:
    # scaling down for persons would push cars under their own floor
    made = control(Controls(at_least={"person": 0.3, "car": 0.19}), CLASSES, palettes, real).apply(
        np.array([0.4, 0.3, 0.2, 0.05, 0.05])
    )
    assert made[3] == pytest.approx(0.3) and made[2] == pytest.approx(0.19)
    assert made[0] / made[1] == pytest.approx(4 / 3)
    assert made.sum() == pytest.approx(1)


def test_boost_multiplies_before_shares_are_brought_to_one(palettes, real) -> None:
    made = control(Controls(boost={"person": 4.0}), CLASSES, palettes, real)
    kept = made.apply(np.array([0.4, 0.3, 0.2, 0.05, 0.05]))
    np.testing.assert_allclose(kept, np.array([0.4, 0.3, 0.2, 0.2, 0.05]) / 1.15)


def test_the_floor_of_realism_refuses_unlikely_palettes(palettes, real) -> None:
    free, floored = drawn(palettes, real, 60), drawn(palettes, real, 60, realism=0.5)
    median = np.median(palettes.log_density(real))
    assert (palettes.log_density(free) < median).any()
    assert (palettes.log_density(floored) >= median - 1e-3).all()
    with pytest.raises(UserError, match=r"none of 256 palettes .* lower `realism`"):
        drawn(palettes, real, 1, exactly={"person": 0.8}, realism=0.05)


def test_log_density_is_that_of_the_mixture(palettes, real) -> None:
    from scipy.stats import multivariate_normal

    parts = [
        weight * multivariate_normal(mean, factor @ factor.T).pdf(real[:, palettes.varying])
        for weight, mean, factor in zip(
            palettes.weights, palettes.means, palettes.factors, strict=True
        )
    ]
    np.testing.assert_allclose(palettes.log_density(real), np.log(sum(parts)), rtol=1e-6)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"absent": ["cat"]}, "unknown class 'cat'; there is road, sky"),
        ({"exactly": {"sky": 1.2}}, "exactly sky: 1.2 must be above 0 and below 1"),
        ({"at_least": {"sky": 0.6}, "exactly": {"car": 0.5}}, "ask for 1.1 of the image"),
        ({"boost": {"sky": 0.0}}, "not above 0; use `absent`"),
        ({"absent": ["sky"], "boost": {"sky": 2.0}}, "name sky twice"),
    ],
)
def test_controls_that_cannot_be_are_refused(palettes, real, asked, message) -> None:
    with pytest.raises(UserError, match=message):
        control(Controls(**asked), CLASSES, palettes, real)


def test_controls_are_described_in_words() -> None:
    asked = Controls(absent=["void"], at_least={"person": 0.05}, boost={"car": 2}, realism=0.05)
    assert describe(asked) == (
        "no void, person at least 0.05, car times 2, as likely as all but 5 % of real palettes"
    )
    assert describe(Controls()) == ""
