"""How many components the mixture of palettes has: as many as tell other videos best, or by AIC.

AIC, as published, falls with every component that memorises frames of one video: on CamVid to the
cap, 24 for 367 frames of three videos. Held out, whole groups (videos, cities, scenes) say how well
a mixture tells palettes that it has not seen; where a dataset names no two groups, pairs do.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

ChosenBy = Literal["held_out", "aic"]

VALUES_PER_PARAMETER = 2
NUM_FOLDS = 5  # at most, groups whole
PATIENCE = 3  # numbers of components that may be worse than the best before no more are tried


@dataclass(frozen=True)
class Choice:
    """What the number was chosen by, and the curve (components, score); the lowest is best.

    The score is AIC, or the mean negative log density of a held-out palette; both are of shares in
    units of their standard deviations, and differ from those of shares by a constant.
    """

    by: ChosenBy
    curve: list[tuple[int, float]]


def choose(
    values: np.ndarray,
    numbers: Iterable[int],
    *,
    by: ChosenBy,
    groups: Sequence[str | None] | None,
    floor: float,
    seed: int,
) -> tuple[Any, Choice]:
    """Fit mixtures to values `[N, d]` and return the best one, of scikit-learn, and the curve.

    `numbers` of components rise; those that the data cannot carry are lowered. `floor` is added to
    the variances.
    """
    most = most_components(*values.shape)
    tried = sorted({min(number, most) for number in numbers})
    folds = _folds(len(values), groups) if by == "held_out" else []
    mixtures: dict[int, Any] = {}
    curve: list[tuple[int, float]] = []
    for number in tried:
        mixture = _fitted(values, number, floor, seed)
        if folds:
            score = -float(np.mean([_told(values, fold, number, floor, seed) for fold in folds]))
        else:
            score = float(mixture.aic(values))
        mixtures[number] = mixture
        curve.append((number, score))
        best = min(range(len(curve)), key=lambda place: curve[place][1])
        if folds and len(curve) - 1 - best >= PATIENCE:
            break
    chosen, _ = min(curve, key=lambda point: point[1])
    return mixtures[chosen], Choice(by if folds else "aic", curve)


def most_components(num_pairs: int, num_varying: int) -> int:
    """Return how many full-covariance components the data can carry, at least 1.

    A component over d classes has 1 + d + d (d + 1) / 2 free parameters; there are to be
    `VALUES_PER_PARAMETER` observed numbers for each (35 varying classes: 629 parameters).
    """
    parameters = 1 + num_varying + num_varying * (num_varying + 1) // 2
    return max(1, num_pairs * num_varying // (VALUES_PER_PARAMETER * parameters))


def _folds(count: int, groups: Sequence[str | None] | None) -> list[np.ndarray]:
    """Return the rows of each fold, groups whole; none for fewer than two pairs a fold."""
    names = np.asarray([str(name) for name in groups or ()])
    if len(set(names.tolist())) < 2:
        names = np.arange(count)
    if count < 2 * NUM_FOLDS:
        return []
    from sklearn.model_selection import GroupKFold

    cut = GroupKFold(min(NUM_FOLDS, len(set(names.tolist()))))
    return [held_out for _, held_out in cut.split(names, groups=names)]


def _told(values: np.ndarray, fold: np.ndarray, number: int, floor: float, seed: int) -> float:
    """Return the mean log density of a fold under a mixture of the others."""
    others = np.delete(values, fold, axis=0)
    return float(_fitted(others, min(number, len(others)), floor, seed).score(values[fold]))


def _fitted(values: np.ndarray, number: int, floor: float, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(number, covariance_type="full", reg_covar=floor, random_state=seed)
    with warnings.catch_warnings():
        # Few distinct palettes or slow EM still give a valid mixture; its score judges it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(values)
