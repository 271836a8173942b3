"""Palettes: a Gaussian mixture over class shares, fitted on real pairs and sampled without sklearn.

The covariance of shares is singular three times over, each handled on purpose:

* shares sum to 1: the class with the largest mean share is left out and recovered as the rest;
* classes whose share never changes (most often: never present) are held constant outside the
  mixture, so they stay exact;
* exact zeros and near copies: shares are divided by their own standard deviation before the fit,
  and `covariance_floor` is added to the variances in these units, so the floor is relative to the
  scale of each class; a share of 0.1 % is not drowned by one that suits the road.

The number of components is chosen in `synth/palettes/components.py`; the model that was chosen is
kept as it is, no refit.

A draw becomes a palette in one of two ways. `calibrated`: each class takes its own place in the
law of its real shares (`synth/palettes/margins.py`), so that it is absent as often as in real
palettes; the class that was left out gets the rest. `simplex` and `clip`: the draw itself, at the
nearest point of the simplex, which sets the smallest shares to exactly 0, or clipped and
renormalised, as released. Shares below `min_share` become 0. Everything inside is float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from data.stage.params import Params
from synth.palettes.components import Choice, ChosenBy, choose
from synth.palettes.margins import NO_MARGINS, Margins, place

CONSTANT_BELOW = 1e-6  # largest minus smallest share of a constant class: rounding, no pixel
MODEL_FILE, REPORT_FILE = "palette.npz", "palette.json"

Projection = Literal["calibrated", "simplex", "clip"]


class PaletteParams(Params):
    """Section `palette` of `params.yaml`."""

    min_components: int = Field(ge=1)
    max_components: int = Field(ge=1)
    chosen_by: ChosenBy
    covariance_floor: float = Field(gt=0)
    projection: Projection
    seed: int = Field(ge=0)


@dataclass(frozen=True)
class PaletteModel:
    """A fitted mixture of K Gaussians over d of the C classes, in units of share.

    `constant` `[C]` holds the shares outside the mixture (0 for the classes inside). `varying`
    are the d ids inside, `rest` the id recovered as what remains; none and None when every class
    is constant. `weights` `[K]`, `means` `[K, d]`, `factors` `[K, d, d]` (lower triangular, its
    product with its transpose is the covariance). `margins` are those of the classes inside and of
    `rest`, nothing unless draws are calibrated.
    """

    constant: np.ndarray
    varying: np.ndarray
    rest: int | None
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    margins: Margins
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
            shares[:, free] = self._projected(drawn, 1 - self.constant.sum())
        shares[shares < self.min_share] = 0
        return (shares / shares.sum(1, keepdims=True)).astype(np.float32)

    def _projected(self, drawn: np.ndarray, total: float) -> np.ndarray:
        """Turn draws `[n, d]` into shares `[n, d + 1]`, the rest last, that sum to `total`."""
        if self.projection == "calibrated":
            deviations = np.sqrt((self.factors**2).sum(2))
            return place(drawn, self.margins, total, self.weights, self.means, deviations)
        drawn = np.column_stack([drawn, total - drawn.sum(1)])
        return total * project(drawn / total, self.projection)

    def log_density(self, shares: np.ndarray) -> np.ndarray:
        """Return the log density of palettes `[n, C]` under the mixture, float64 `[n]`.

        Only the varying classes count; 0 for all when every class is constant. Densities of
        palettes are comparable with each other, not across models. It is that of shares as the
        mixture was fitted to them, however draws become palettes.
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
            absent=self.margins.absent,
            quantiles=self.margins.quantiles,
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
        with np.load(folder / MODEL_FILE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            if "absent" not in arrays:
                raise UserError(f"{folder} is of before; run `synth.stages.fit_palette` again")
            margins = Margins(arrays.pop("absent"), arrays.pop("quantiles"))
            return PaletteModel(
                **arrays,
                margins=margins,
                rest=settings["rest"],
                projection=settings["projection"],
                min_share=settings["min_share"],
            )


def fit(
    shares: np.ndarray,
    params: PaletteParams,
    *,
    min_share: float,
    groups: Sequence[str | None] | None = None,
) -> tuple[PaletteModel, Choice]:
    """Fit a mixture to shares `[N, C]` and return it with how its components were chosen.

    `groups` are the videos, cities or scenes of the pairs. The choice has an empty curve when every
    class is constant.
    """
    shares = _checked(shares)
    moving = np.ptp(shares, axis=0) > CONSTANT_BELOW
    constant = np.where(moving, 0.0, shares[0])
    free = np.flatnonzero(moving)
    if len(free) < 2:  # one class alone cannot vary while the sum is 1
        return _constant(shares.mean(0), params.projection, min_share), Choice(params.chosen_by, [])
    rest = int(free[shares[:, free].mean(0).argmax()])
    varying = free[free != rest]
    scale = shares[:, varying].std(0)
    numbers = range(params.min_components, params.max_components + 1)
    best, choice = choose(
        shares[:, varying] / scale,
        numbers,
        by=params.chosen_by,
        groups=groups,
        floor=params.covariance_floor,
        seed=params.seed,
    )
    calibrated = params.projection == "calibrated"
    model = PaletteModel(
        constant=constant,
        varying=varying,
        rest=rest,
        weights=best.weights_.astype(np.float64),
        means=best.means_ * scale,
        factors=np.linalg.cholesky(best.covariances_) * scale[:, None],
        margins=Margins.of(shares[:, [*varying, rest]]) if calibrated else NO_MARGINS,
        projection=params.projection,
        min_share=min_share,
    )
    return model, choice


def project(shares: np.ndarray, projection: Literal["simplex", "clip"]) -> np.ndarray:
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
        margins=NO_MARGINS,
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
