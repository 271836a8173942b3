"""What synthetic pairs are worth in labels: the learning curve of real pairs alone, read backwards.

A row with synthetic pairs has used so many real ones; real pairs alone reach its mIoU with another
number of them. That number, over the number used, is what the synthetic pairs are worth.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluate.cells import Roles
from evaluate.statistics import LEVEL, Draws, Spread, spread_of, widened
from evaluate.verdicts.gains import Measured

FEWER, MORE_THAN = "at most", "at least"


@dataclass(frozen=True)
class Point:
    """A point of the learning curve: the best row of so many real pairs alone, and its mIoU."""

    pairs: int
    row: str
    miou: Spread


@dataclass(frozen=True)
class Number:
    """A number of real pairs, or a multiple; `bound` says that the curve only bounds it.

    `at most` stands with the fewest pairs of the curve, `at least` with the most.
    """

    value: float
    bound: str = ""

    def over(self, used: int) -> "Number":
        """Return how many times as many these are."""
        return Number(self.value / used, self.bound)


@dataclass(frozen=True)
class RowWorth:
    """What a row is worth: it `used` real pairs, and real pairs alone need `labels` of them.

    `low` and `high` end the 95 % interval, None for a row with one seed.
    """

    row: str
    used: int
    labels: Number
    low: Number | None
    high: Number | None

    def to_json(self) -> dict[str, Any]:
        """Return the content for report.json, with the multiples."""
        ends = {"labels": self.labels, "low": self.low, "high": self.high}
        found = {name: None if end is None else asdict(end) for name, end in ends.items()}
        times = {n: None if end is None else asdict(end.over(self.used)) for n, end in ends.items()}
        times["times"] = times.pop("labels")
        return {"row": self.row, "used": self.used} | found | {"factor": times}


@dataclass(frozen=True)
class Worth:
    """The learning curve of real pairs alone on one split, and what rows are worth by it."""

    curve: Sequence[Point]
    rows: Sequence[RowWorth]

    def to_json(self) -> dict[str, Any]:
        """Return the content for report.json."""
        curve = [{"pairs": p.pairs, "row": p.row} | asdict(p.miou) for p in self.curve]
        return {"curve": curve, "worth": [row.to_json() for row in self.rows]}

    def of(self, row: str) -> RowWorth | None:
        """Return what one row is worth; None for one that has no synthetic pairs."""
        return next((found for found in self.rows if found.row == row), None)


def worth_of(measured: Measured, roles: Roles) -> Worth | None:
    """Return what rows with synthetic pairs are worth in labels, best first.

    None when real pairs alone were trained with one number of them. The interval is a bootstrap
    over seeds and groups of images, of the curve and the row together.
    """
    curve = learning_curve(measured, roles)
    if len(curve) < 2:
        return None
    draws = measured.draws()
    numbers = np.array([point.pairs for point in curve])
    levels = np.array([point.miou.mean for point in curve])
    drawn = [_means(measured, point.row, draws) for point in curve]
    known = [found for found in drawn if found is not None]
    resamples = np.stack(known, axis=1) if len(known) == len(curve) else None
    rows = []
    for row in (*roles.rows, *roles.alone):
        level = np.array(measured.values(row)[:, 0].mean())
        labels = _number(float(pairs_needed(numbers, levels, level)), numbers)
        own = _means(measured, row, draws)
        ends = (None, None)
        if own is not None and resamples is not None:
            needed = np.sort(pairs_needed(numbers, resamples, own))
            ends = tuple(_number(float(end), numbers) for end in _tails(needed))
        rows.append(RowWorth(row, roles.num_real[row], labels, *ends))
    rows.sort(key=lambda found: -found.labels.over(found.used).value)
    return Worth(curve, rows)


def learning_curve(measured: Measured, roles: Roles) -> list[Point]:
    """Return the best row of real pairs alone for each number of them, fewest first.

    Rows with fewer seeds than others of their number are left out.
    """
    by_number: dict[int, list[str]] = {}
    for row in (*roles.baselines, *roles.other_numbers):
        by_number.setdefault(roles.num_real[row], []).append(row)
    points = []
    for pairs, rows in sorted(by_number.items()):
        most = max(len(measured.seeds[row]) for row in rows)
        scores = {
            row: spread_of(measured.values(row)[:, 0].tolist())
            for row in rows
            if len(measured.seeds[row]) == most
        }
        best = max(scores, key=lambda row: scores[row].mean)
        points.append(Point(pairs, best, scores[best]))
    return points


def pairs_needed(numbers: np.ndarray, curve: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return how many real pairs reach a score first: `[K]`, `[..., K]`, `[...]` -> `[...]`.

    `curve` has the scores of the `numbers` of pairs, which rise. Between them it is linear in the
    logarithm of the number; where it falls it stays at the highest score so far, as more pairs hold
    what fewer hold. 0 where the first score is above the level, infinite where none reaches it.
    """
    best = np.maximum.accumulate(curve, axis=-1)
    reached = best >= level[..., None]
    after = reached.argmax(axis=-1)  # the first that reaches it; 0 also where none does
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(best, k[..., None], -1)[..., 0] for k in (before, after))
    part = (level - low) / np.where(high > low, high - low, 1.0)
    logs = np.log(numbers)
    found = np.exp(logs[before] + part * (logs[after] - logs[before]))
    found = np.where((after == 0) & (best[..., 0] > level), 0.0, found)
    return np.where(reached.any(axis=-1), found, np.inf)


def _means(measured: Measured, row: str, draws: Draws) -> np.ndarray | None:
    """Return the mean mIoU of a row in every resample `[B]`; None without all seeds or with one."""
    seeds = len(measured.seeds[row])
    if seeds == 1 or seeds != draws.seeds.shape[1]:
        return None
    return widened(measured.resampled(row, draws)[..., 0].astype(np.float64), draws)


def _tails(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the interval of sorted values, which may be infinite."""
    beyond = (1 - LEVEL) / 2 * (len(values) - 1)
    return float(values[math.floor(beyond)]), float(values[-1 - math.floor(beyond)])


def _number(found: float, numbers: np.ndarray) -> Number:
    if found == 0:
        return Number(float(numbers[0]), FEWER)
    if math.isinf(found):
        return Number(float(numbers[-1]), MORE_THAN)
    return Number(found)
