"""Palettes: a Gaussian mixture over class shares, fitted on real pairs and sampled without sklearn.

The covariance of shares is singular three times over, each handled on purpose:

* shares sum to 1: the class with the largest mean share is left out and recovered as the rest;
* classes whose share never changes (most often: never present) are held constant outside the
  mixture, so they stay exact;
* exact zeros and near copies: shares are divided by their own standard deviation before the fit,
  and `covariance_floor` is added to the variances in these units, so the floor is relative to the
  scale of each class; a share of 0.1 % is not drowned by one that suits the road.

The number of components minimises AIC over a range that is cut where there would be less than
`VALUES_PER_PARAMETER` observed numbers per free parameter (35 varying classes: 629 parameters per
component, N * 34 numbers). The model with the smallest AIC is the one that is kept, no refit.

A draw is projected onto the simplex: by default the nearest point of it, which sets the smallest
shares to exactly 0; `clip` clips and renormalises, as released. Shares below `min_share` become 0.
Everything inside is float64.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json

VALUES_PER_PARAMETER = 2
CONSTANT_BELOW = 1e-6  # largest minus smallest share of a constant class: rounding, no pixel
MODEL_FILE, REPORT_FILE = "palette.npz", "palette.json"

Projection = Literal["simplex", "clip"]


@dataclass(frozen=True)
class PaletteModel:
    """A fitted mixture of K Gaussians over d of the C classes, in units of share.

    `constant` `[C]` holds the shares outside the mixture (0 for the classes inside). `varying`
    are the d ids inside, `rest` the id recovered as what remains; none and None when every class
    is constant. `weights` `[K]`, `means` `[K, d]`, `factors` `[K, d, d]` (lower triangular, its
    product with its transpose is the covariance).
    """

    constant: np.ndarray
    varying: np.ndarray
    rest: int | None
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    projection: Projection
    min_share: float

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.constant)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw n palettes, float32 `[n, C]`, each summing to 1.

        Components are drawn item by item, so draws are not grouped; the first n of a longer draw
        with the same seed are the same.
        """
        shares = np.tile(self.constant, (n, 1))
        if self.rest is not None:
            which, noise = (
                np.random.default_rng(np.random.SeedSequence([seed, part])) for part in (0, 1)
            )
            edges = np.cumsum(self.weights) / self.weights.sum()
            component = np.searchsorted(edges[:-1], which.random(n), side="right")
            drawn = noise.standard_normal((n, len(self.varying)))
            for number, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
                mine = component == number
                drawn[mine] = mean + np.einsum("ij,nj->ni", factor, drawn[mine])
            free = np.append(self.varying, self.rest)
            total = 1 - self.constant.sum()
            drawn = np.column_stack([drawn, total - drawn.sum(1)])
            shares[:, free] = total * project(drawn / total, self.projection)
        shares[shares < self.min_share] = 0
        return (shares / shares.sum(1, keepdims=True)).astype(np.float32)

    def log_density(self, shares: np.ndarray) -> np.ndarray:
        """Return the log density of palettes `[n, C]` under the mixture, float64 `[n]`.

        Only the varying classes count; 0 for all when every class is constant. Densities of
        palettes are comparable with each other, not across models.
        """
        if self.rest is None:
            return np.zeros(len(shares))
        terms = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            away = np.linalg.solve(factor, (shares[:, self.varying] - mean).T)
            scale = np.log(np.diag(factor)).sum() + len(mean) / 2 * np.log(2 * np.pi)
            terms.append(np.log(weight) - scale - (away**2).sum(0) / 2)
        return np.logaddexp.reduce(terms, axis=0)

    def save(self, out: Path, report: Mapping[str, Any]) -> None:
        """Write `palette.npz` (the model) and `palette.json` (settings and `report`) into `out`."""
        out.mkdir(parents=True, exist_ok=True)
        np.savez(
            out / MODEL_FILE,
            constant=self.constant,
            varying=self.varying,
            weights=self.weights,
            means=self.means,
            factors=self.factors,
        )
        settings = {
            "components": len(self.weights),
            "rest": self.rest,
            "projection": self.projection,
            "min_share": self.min_share,
        }
        write_json(out / REPORT_FILE, {**report, **settings})

    @staticmethod
    def load(folder: Path) -> "PaletteModel":
        """Load what `save` wrote; nothing is unpickled."""
        if not (folder / REPORT_FILE).is_file():
            raise UserError(f"{folder} has no {REPORT_FILE}; run `synth.stages.fit_palette` again")
        settings = read_json(folder / REPORT_FILE)
        with np.load(folder / MODEL_FILE, allow_pickle=False) as arrays:
            return PaletteModel(
                **{name: arrays[name] for name in arrays.files},
                rest=settings["rest"],
                projection=settings["projection"],
                min_share=settings["min_share"],
            )


def fit(
    shares: np.ndarray,
    *,
    min_components: int,
    max_components: int,
    covariance_floor: float,
    projection: Projection,
    min_share: float,
    seed: int,
) -> tuple[PaletteModel, list[tuple[int, float]]]:
    """Fit a mixture to shares `[N, C]` and return it with the AIC curve (components, AIC).

    AIC is that of the shares in units of their standard deviations: it differs from that of the
    shares by a constant. The curve is empty when every class is constant.
    """
    shares = _checked(shares)
    moving = np.ptp(shares, axis=0) > CONSTANT_BELOW
    constant = np.where(moving, 0.0, shares[0])
    free = np.flatnonzero(moving)
    if len(free) < 2:  # one class alone cannot vary while the sum is 1
        return _constant(shares.mean(0), projection, min_share), []
    rest = int(free[shares[:, free].mean(0).argmax()])
    varying = free[free != rest]
    scale = shares[:, varying].std(0)
    most = most_components(len(shares), len(varying))
    numbers = range(min(min_components, most), min(max_components, most) + 1)
    mixtures = [_fit_one(shares[:, varying] / scale, k, covariance_floor, seed) for k in numbers]
    curve = [(k, aic) for k, (_, aic) in zip(numbers, mixtures, strict=True)]
    best, _ = min(mixtures, key=lambda mixture: mixture[1])
    model = PaletteModel(
        constant=constant,
        varying=varying,
        rest=rest,
        weights=best.weights_.astype(np.float64),
        means=best.means_ * scale,
        factors=np.linalg.cholesky(best.covariances_) * scale[:, None],
        projection=projection,
        min_share=min_share,
    )
    return model, curve


def most_components(num_pairs: int, num_varying: int) -> int:
    """Return how many full-covariance components the data can carry, at least 1.

    A component over d classes has 1 + d + d (d + 1) / 2 free parameters.
    """
    parameters = 1 + num_varying + num_varying * (num_varying + 1) // 2
    return max(1, num_pairs * num_varying // (VALUES_PER_PARAMETER * parameters))


def project(shares: np.ndarray, projection: Projection) -> np.ndarray:
    """Put rows `[n, C]` onto the simplex.

    `simplex` is the nearest point (Euclidean; Held, Wolfe and Crowder 1974), `clip` clips to
    [0, 1] and divides by the sum.
    """
    if projection == "clip":
        clipped = np.clip(shares, 0, 1)
        return clipped / clipped.sum(1, keepdims=True)
    falling = -np.sort(-shares, axis=1)
    excess = np.cumsum(falling, axis=1) - 1
    count = np.arange(1, shares.shape[1] + 1)
    last = (falling * count > excess).sum(1)
    threshold = excess[np.arange(len(shares)), last - 1] / last
    return np.maximum(shares - threshold[:, None], 0)


def _constant(shares: np.ndarray, projection: Projection, min_share: float) -> PaletteModel:
    nothing = np.empty(0)
    return PaletteModel(
        constant=shares,
        varying=np.empty(0, np.int64),
        rest=None,
        weights=nothing,
        means=nothing.reshape(0, 0),
        factors=nothing.reshape(0, 0, 0),
        projection=projection,
        min_share=min_share,
    )


def _checked(shares: np.ndarray) -> np.ndarray:
    shares = np.asarray(shares, np.float64)
    if shares.ndim != 2 or not len(shares):
        raise UserError("there is no palette to fit; the training set needs at least one pair")
    if (shares < 0).any() or not np.allclose(shares.sum(1), 1, atol=1e-4):
        raise UserError("palettes must be shares of 0 or more that sum to 1; ingest the data again")
    return shares / shares.sum(1, keepdims=True)


def _fit_one(values: np.ndarray, components: int, floor: float, seed: int) -> tuple[Any, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        components, covariance_type="full", reg_covar=floor, random_state=seed
    )
    with warnings.catch_warnings():
        # Few distinct palettes or slow EM still give a valid mixture; AIC judges it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(values)
    return mixture, float(mixture.aic(values))
