"""Frechet distance of two samples, and how many directions a sample really varies in."""

import numpy as np

from evaluate.metrics.features import in_deviations
from evaluate.metrics.metric import Found, Metric, Reference, Scored
from evaluate.statistics import evenly


def frechet(sample: np.ndarray, reference: np.ndarray) -> float:
    """Return the squared Frechet distance of the Gaussians fitted to two samples [N, D], [M, D].

    |mean - mean'|^2 + tr(S + S' - 2 (S S')^1/2), covariances with ddof = 1. The last trace is the
    sum of the singular values of A A'^T where S = A^T A: no root of a matrix is taken, so that a
    rank below D costs no digits, and a sample has distance 0 from itself.

    A sample's covariance has rank N - 1 at most, and the distance of two samples of one law is
    above 0: it is biased upwards, more so for small samples of many features. Compare distances
    of equal N, M and D only, and with that of two real samples. ValueError for fewer than 2 rows.
    """
    shift = _mean(sample) - _mean(reference)
    a, b = _factor(sample), _factor(reference)
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * common))


def effective_rank(sample: np.ndarray) -> float:
    """Return (sum of variances)^2 / sum of squared variances along the principal axes of [N, D].

    1 when all rows lie on a line, D when every direction varies alike; 0 when none does.
    """
    variances = np.linalg.svd(_factor(sample), compute_uv=False) ** 2
    total = variances.sum()
    return float(total**2 / (variances**2).sum()) if total > 0 else 0.0


def _mean(sample: np.ndarray) -> np.ndarray:
    return np.asarray(sample, dtype=np.float64).mean(axis=0)


def _factor(sample: np.ndarray) -> np.ndarray:
    """Return A [min(N, D), D] with A^T A = covariance of the rows."""
    rows = np.asarray(sample, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"a covariance needs two rows or more, this sample is {rows.shape}")
    return np.asarray(np.linalg.qr((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1), mode="r"))


def of_set(scored: Scored) -> Found | None:
    """Return the distance of the pretrained features to those of the real val images."""
    seen, train, val = scored.seen, scored.reference.train.seen, scored.reference.val.seen
    if seen is None or train is None or val is None:
        return None
    return _found(seen.pooled, train.pooled, val.pooled)


def yardstick(reference: Reference, count: int) -> float | None:
    """Return the distance of as many real training images to the val images."""
    train, val = reference.train.seen, reference.val.seen
    if train is None or val is None:
        return None
    chosen = train.pooled[evenly(range(len(train.pooled)), count)]
    found = _found(chosen, train.pooled, val.pooled)
    return None if found is None else found.value


def _found(sample: np.ndarray, train: np.ndarray, val: np.ndarray) -> Found | None:
    if min(len(sample), len(val)) < 2:
        return None  # no covariance
    return Found(frechet(in_deviations(sample, train), in_deviations(val, train)))


METRIC = Metric(
    "feature_frechet",
    header="Frechet",
    digits=2,
    better="lower",
    in_words="Distance between the pretrained features of these images and of the real val images, "
    "averaged over the image, in deviations of the real training images. It is not FID "
    "(`report.fid_weights` brings that) and compares with no distance on another network. The "
    "yardstick is what as many real training images score: above 0, because images are few and val "
    "shows other scenes.",
    compute=of_set,
    yardstick=yardstick,
)
