"""Intervals of scores and of paired gains: over seeds and over groups of the scored images.

Two intervals answer for two kinds of chance. A paired t interval over seeds knows how few seeds
there are, but nothing of the images; a hierarchical bootstrap draws seeds and groups of images
anew, but with three seeds it is too narrow (their deviation comes out sqrt(2/3) of what it is, and
no t quantile makes up for it). An interval of a gain spans both, its p value is the larger one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.pairs.pairset import Rows

LEVEL = 0.95
RESAMPLES = 4000
HELPS, HURTS, NO_EVIDENCE = "helps", "hurts", "no evidence"


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds with its 95 % interval and two-sided p value; None for one seed."""

    mean: float
    low: float | None
    high: float | None
    n: int
    p: float | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the interval; None for one seed."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside; never for one seed."""
        return self.ends is not None and (self.ends[0] > 0 or self.ends[1] < 0)


@dataclass(frozen=True)
class Spread:
    """A mean over n seeds and their standard deviation (ddof = 1), None for one seed."""

    mean: float
    std: float | None
    n: int


def spread_of(values: Sequence[float]) -> Spread:
    """Summarize the scores of the seeds of one row."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(math.fsum(values) / len(values), std, len(values))


@dataclass(frozen=True)
class Draws:
    """How often each resample holds each group, `[B, G]`, and each seed, `[B, S]` fractions."""

    groups: np.ndarray
    seeds: np.ndarray


def draw(num_groups: int, num_seeds: int, seed: int = 0) -> Draws:
    """Draw groups and seeds with replacement; the same for every row, so that rows stay paired."""
    rng = np.random.default_rng([seed, num_groups, num_seeds])
    groups = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), RESAMPLES)
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), RESAMPLES)
    return Draws(groups.astype(np.float64), seeds / num_seeds)


def widened(scores: np.ndarray, draws: Draws) -> np.ndarray:
    """Return means over seeds `[B]` of scores `[B, S]` in every resample of the groups, S > 1.

    What resampled seeds differ from all seeds is stretched so that alone it spans the t interval:
    few seeds drawn with replacement vary too little.
    """
    from scipy.stats import norm, t

    seeds, tail = scores.shape[1], 0.5 + LEVEL / 2
    stretch = float(t.ppf(tail, seeds - 1) / norm.ppf(tail)) * math.sqrt(seeds / (seeds - 1))
    mean = scores.mean(axis=1)
    return mean + stretch * (np.einsum("bs,bs->b", draws.seeds, scores) - mean)


def paired(
    own: np.ndarray, base: np.ndarray, drawn: np.ndarray | None = None
) -> list[Interval | None]:
    """Return the interval of the mean difference of two rows for each of K scores.

    `own` and `base` are `[S, K]`, paired by seed; `drawn` are the differences `[B, K]` of the
    resamples. None where a score is NaN. One seed has no interval; without `drawn` it is that of
    the paired t test alone.
    """
    differences = own - base
    result: list[Interval | None] = []
    for k, column in enumerate(differences.T):
        if not np.isfinite(column).all():
            result.append(None)
            continue
        result.append(_interval(column, None if drawn is None else drawn[:, k]))
    return result


def _interval(differences: np.ndarray, drawn: np.ndarray | None) -> Interval:
    mean, n = math.fsum(differences) / len(differences), len(differences)
    if n == 1:
        return Interval(mean, None, None, 1)
    low, high, p = t_interval(differences)
    if drawn is not None:
        known = drawn[np.isfinite(drawn)]
        tails = np.quantile(known, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        fewest = min((known <= 0).sum(), (known >= 0).sum())
        low, high = min(low, float(tails[0])), max(high, float(tails[1]))
        p = max(p, min(1.0, 2 * (int(fewest) + 1) / (len(known) + 1)))
    return Interval(mean, low, high, n, p)


def t_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Return low, high and p of the paired t test of differences `[N]`, N > 1, against zero."""
    from scipy.stats import t

    n, mean = len(differences), math.fsum(differences) / len(differences)
    error = float(np.std(differences, ddof=1)) / math.sqrt(n)
    half = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * error
    if error == 0:
        return mean, mean, float(mean == 0)
    return mean - half, mean + half, 2 * float(t.sf(abs(mean) / error, n - 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values adjusted for their number (Holm, 1979); None stays and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[index] = largest
    return adjusted


def judgement(interval: Interval, adjusted: float | None) -> str:
    """Say what a gain shows: its interval excludes zero, and so it does among all rows (Holm)."""
    if not interval.excludes_zero or adjusted is None or adjusted >= 1 - LEVEL:
        return NO_EVIDENCE
    return HELPS if interval.mean > 0 else HURTS


def evenly(rows: Rows, count: int) -> list[int]:
    """Return `count` of the rows, or all if there are fewer, evenly spaced over the set."""
    count = min(count, len(rows))
    return [int(rows[index * len(rows) // count]) for index in range(count)]
