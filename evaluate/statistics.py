"""Mean, deviation and paired differences of cells; n = 1 has neither deviation nor interval."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

LEVEL = 0.95
METHOD = "paired t interval, 95 %"
METHOD_SINGLE = "difference of one pair of cells, no interval"
HELPS, HURTS, NO_EVIDENCE, ONE_SEED = "helps", "hurts", "no evidence", "one seed, no interval"


def summarize(cells: Mapping[str, float]) -> dict[str, Any]:
    """Return mean, std (ddof = 1, None for one cell), n and the cells themselves by seed."""
    values = list(cells.values())
    if not values:
        raise ValueError("no cells to summarize")
    return {"mean": _mean(values), "std": _std(values), "n": len(values), "cells": dict(cells)}


def paired_delta(cells: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, Any]:
    """Return the difference to the baseline, paired by seed, with its 95 % interval.

    mean +- t(0.975, n - 1) * std / sqrt(n) over the per-seed differences, which is the interval
    of a paired t test. With one seed `low` and `high` are None. ValueError when the seeds differ.
    """
    if set(cells) != set(baseline):
        raise ValueError(f"seeds differ: {sorted(cells)} against {sorted(baseline)}")
    differences = [cells[seed] - baseline[seed] for seed in cells]
    mean, std, n = _mean(differences), _std(differences), len(differences)
    if std is None:
        return {"mean": mean, "low": None, "high": None, "method": METHOD_SINGLE}
    half = half_width(std, n)
    return {"mean": mean, "low": mean - half, "high": mean + half, "method": METHOD}


def half_width(std: float, n: int) -> float:
    """Return half the width of the 95 % t interval of a mean of n values."""
    from scipy.stats import t

    return float(t.ppf(0.5 + LEVEL / 2, n - 1)) * std / math.sqrt(n)


def judgement(delta: Mapping[str, Any]) -> str:
    """Return in words whether the interval of a difference excludes zero, and on which side."""
    if delta["low"] is None:
        return ONE_SEED
    if delta["low"] > 0:
        return HELPS
    return HURTS if delta["high"] < 0 else NO_EVIDENCE


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _std(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def spread(rows: Sequence[int], count: int) -> list[int]:
    """Return `count` of the rows, or all if there are fewer, evenly spaced over the set."""
    count = min(count, len(rows))
    return [int(rows[index * len(rows) // count]) for index in range(count)]
