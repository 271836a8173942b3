"""The law of each class by itself: how often it is absent, and its shares where it is there.

A Gaussian mixture puts classes that are often absent at small shares, half of them below 0, and a
projection onto the simplex leaves too many above it: on CamVid, fence was in 70 % of the draws and
is in 47 % of the frames. So a draw only says where in the law of its class a share lies: below the
fraction of palettes without the class it is absent, above it the share is the quantile of the real
ones. How classes go together is the mixture's (a copula; Sklar, 1959).
"""

from dataclasses import dataclass

import numpy as np

NUM_QUANTILES = 65


@dataclass(frozen=True)
class Margins:
    """`absent` `[d]`: the fraction of palettes without each class; `quantiles` `[d, Q]`: of its
    shares where it is there, evenly spaced from the smallest to the largest.
    """

    absent: np.ndarray
    quantiles: np.ndarray

    @staticmethod
    def of(shares: np.ndarray) -> "Margins":
        """Measure the shares `[N, d]` of classes that vary: each is there at least once."""
        places = np.linspace(0, 1, NUM_QUANTILES)
        quantiles = [np.quantile(column[column > 0], places) for column in shares.T]
        return Margins((shares == 0).mean(0), np.stack(quantiles))


NO_MARGINS = Margins(np.empty(0), np.empty((0, NUM_QUANTILES)))


def place(
    drawn: np.ndarray,
    margins: Margins,
    total: float,
    weights: np.ndarray,
    means: np.ndarray,
    deviations: np.ndarray,
) -> np.ndarray:
    """Turn draws `[n, d]` of a mixture into shares `[n, d + 1]` that sum to `total`.

    The mixture has `weights` `[K]`, and `means` and `deviations` `[K, d]`; `margins` are those of
    the d classes and of the one that gets the rest, whose smallest share the others leave it.
    """
    from scipy.special import ndtr

    ranks = np.zeros_like(drawn)
    for weight, mean, deviation in zip(weights, means, deviations, strict=True):
        ranks += weight / weights.sum() * ndtr((drawn - mean) / deviation)
    shares = np.zeros_like(drawn)
    places = np.linspace(0, 1, margins.quantiles.shape[1])
    for number, (absent, quantiles) in enumerate(
        zip(margins.absent[:-1], margins.quantiles[:-1], strict=True)
    ):
        above = (ranks[:, number] - absent) / max(1 - absent, 1e-12)
        there = np.interp(above, places, quantiles)
        shares[:, number] = np.where(above >= 0, there, 0)
    least = margins.quantiles[-1, 0] if margins.absent[-1] == 0 else 0.0
    summed = shares.sum(1, keepdims=True)
    shares *= np.minimum(1, (total - least) / np.maximum(summed, 1e-12))
    return np.column_stack([shares, total - shares.sum(1)])
