"""How often training shows each pair: all alike, or those with rare classes or looks more often.

Whatever the weights, an epoch shows as many pairs as there are, in an order of its own: pair i
comes N p_i times, rounded up or down at random, so that no pair waits longer than it must.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from data.stage.progress import log, progress

# All pairs alike | those with classes of few pixels | with colours that their classes seldom have.
Sampling = Literal["uniform", "rare_classes", "rare_looks"]

SHOWN = 1e-4  # of an image: a class with less is not there
POWER = 0.5  # of inverse frequency, that with which losses weigh classes
LARGEST = 5  # classes whose looks count, those with the most pixels (cIMLE)
FEWEST = 8  # looks of a class that have a density (cIMLE: 68, of thousands)
CLIPPED = 0.99  # quantile of the rarities of a class above which they are alike
MOST = 50.0  # times the median rarity of its class: a look is at most so rare
COLOUR_FLOOR = 2.0  # levels of 255, beside the deviation of looks: flat colours have a density
AT_ONCE = 512  # looks that are compared with all others at a time


@dataclass(frozen=True)
class Shown:
    """What some pairs show: their palettes `[N, C]`, and which classes count.

    `pixels()` yields image uint8 `[H, W, 3]` and label uint8 `[H, W]` of each, in that order.
    """

    palettes: np.ndarray
    counted: Sequence[int]
    pixels: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


def chances(sampling: Sampling, shown: Shown) -> tuple[float, ...] | None:
    """Return how likely a draw is each pair, `[N]` with sum 1; None where all are alike."""
    return LAWS[sampling](shown)


def epoch(
    rng: np.random.Generator, num_pairs: int, probabilities: Sequence[float] | None
) -> np.ndarray:
    """Draw the order of an epoch, places int64 `[N]`: each once, or about N p_i times.

    The draw is systematic: one number, and every 1/N-th of the line on which pairs lie in a random
    order, each as long as it is likely.
    """
    order = rng.permutation(num_pairs)
    if probabilities is None:
        return order
    ends = np.cumsum(np.asarray(probabilities)[order])
    points = (np.arange(num_pairs) + rng.random()) / num_pairs
    places = np.searchsorted(ends / ends[-1], points, side="right").clip(max=num_pairs - 1)
    return rng.permutation(order[places])


def _uniform(shown: Shown) -> None:
    return None


def _rare_classes(shown: Shown) -> tuple[float, ...] | None:
    """Draw a class by the root of its inverse frequency, then a pair that shows it.

    Rare class sampling (DAFormer, Hoyer et al., CVPR 2022), with a power for its exponential.
    """
    palettes = np.asarray(shown.palettes, np.float64)[:, list(shown.counted)]
    frequency, there = palettes.mean(0), palettes >= SHOWN
    present = there.any(0)
    weights = np.where(present, np.maximum(frequency, SHOWN) ** -POWER, 0.0)
    return _mixed(there[:, present].astype(np.float64), weights[present])


def _rare_looks(shown: Shown) -> tuple[float, ...] | None:
    """Draw one of the largest classes, then a pair by how rare the colour is that it has there.

    Dataset rebalancing of conditional IMLE (Li et al., ICCV 2019, section 3.3), which gives each of
    the classes an equal share of a batch; here of an epoch.
    """
    palettes = np.asarray(shown.palettes, np.float64)
    colours = mean_colours(_watched(shown), palettes.shape[1])
    looks = np.isfinite(colours[..., 0]).sum(0)
    counted = [c for c in shown.counted if looks[c] >= FEWEST]
    largest = sorted(counted, key=lambda c: -palettes[:, c].mean())[:LARGEST]
    if not largest:
        log.warning(
            f"sampling: rare_looks finds no class with {FEWEST} looks among {len(palettes)} pairs, "
            "so pairs are shown alike"
        )
        return None
    return _mixed(np.nan_to_num(rarities(colours[:, largest])), np.ones(len(largest)))


def _watched(shown: Shown) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with progress(len(shown.palettes), "sampling: colours of classes", "pairs") as advance:
        for pixels in shown.pixels():
            yield pixels
            advance()


LAWS: Mapping[Sampling, Callable[[Shown], tuple[float, ...] | None]] = {
    "uniform": _uniform,
    "rare_classes": _rare_classes,
    "rare_looks": _rare_looks,
}


def _mixed(within: np.ndarray, weights: np.ndarray) -> tuple[float, ...] | None:
    """Return the chances of pairs by class `[N, K]`, mixed by the weights of classes `[K]`."""
    if not within.any():
        return None
    chances = within / within.sum(0) @ (weights / weights.sum())
    return tuple((chances / chances.sum()).tolist())


def mean_colours(pixels: Iterable[tuple[np.ndarray, np.ndarray]], num_classes: int) -> np.ndarray:
    """Return the mean colour of each class in each image, 0 to 255, `[N, C, 3]`; NaN if not there.

    Images are uint8 `[H, W, 3]`, labels uint8 `[H, W]`.
    """
    return np.stack([*_colours(pixels, num_classes)])


def _colours(
    pixels: Iterable[tuple[np.ndarray, np.ndarray]], num_classes: int
) -> Iterator[np.ndarray]:
    for image, label in pixels:
        flat = label.ravel()
        counts = np.bincount(flat, minlength=256)[:num_classes]
        sums = [
            np.bincount(flat, image[..., channel].ravel(), minlength=256)[:num_classes]
            for channel in range(3)
        ]
        there = (counts > 0) & (counts >= SHOWN * flat.size)
        means = np.stack(sums, 1) / np.maximum(counts, 1)[:, None]
        yield np.where(there[:, None], means, np.nan)


def rarities(colours: np.ndarray) -> np.ndarray:
    """Return how rare the colour of each class is in each image, `[N, C]`, of colours `[N, C, 3]`.

    One over the density of colours of its class in the other images (cIMLE, eq. 5; there its own
    counts too), in terms of the median of the class, at most `MOST`. NaN where the class is not
    there, or in fewer than `FEWEST` images.
    """
    found = np.full(colours.shape[:2], np.nan)
    for number in range(colours.shape[1]):
        there = np.isfinite(colours[:, number, 0])
        if there.sum() < FEWEST:
            continue
        rare = -_log_density(colours[there, number])
        rare = np.minimum(rare, np.quantile(rare, CLIPPED, method="lower")) - np.median(rare)
        found[there, number] = np.exp(np.minimum(rare, np.log(MOST)))
    return found


def _log_density(points: np.ndarray) -> np.ndarray:
    """Return the log density of each of some points `[n, d]` by all others, up to a constant.

    Gaussian kernels as wide as Scott's rule has it, which is the default of scipy.
    """
    count, size = points.shape
    covariance = np.cov(points.T) + COLOUR_FLOOR**2 * np.eye(size)
    root = np.linalg.cholesky(covariance) * count ** (-1 / (size + 4))
    white = np.linalg.solve(root, (points - points.mean(0)).T).T
    found = np.empty(count)
    for first in range(0, count, AT_ONCE):
        part = slice(first, min(first + AT_ONCE, count))
        exponents = -0.5 * cdist(white[part], white, "sqeuclidean")
        exponents[np.arange(part.stop - first), np.arange(first, part.stop)] = -np.inf
        found[part] = logsumexp(exponents, axis=1)
    return found
