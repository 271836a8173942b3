"""Paired gains of every row over the baselines, on every split, with intervals and verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluate.cells import Cell, Split, group_sums, values
from evaluate.config import BASELINE, BASELINES, MORE
from evaluate.statistics import NO_EVIDENCE, Draws, Interval, draw, holm, judgement, paired

BOTH = "both"  # against the best of the baselines
MIOU, MIOU_STAR, IOU = "miou", "miou_star", "iou"


@dataclass(frozen=True)
class Gain:
    """The gain of a row over a baseline in points; `name` is the class of an IoU.

    `against` is a baseline or `both`, `baseline` the row that was subtracted, `adjusted` the p
    value adjusted for the rows of one table (Holm), `says` what that means.
    """

    row: str
    split: str
    against: str
    baseline: str
    metric: str
    name: str | None
    interval: Interval
    adjusted: float | None = None
    says: str = NO_EVIDENCE


class Gains:
    """All gains of a report, found by what they are of."""

    def __init__(self, gains: Sequence[Gain]) -> None:
        self._all = {(g.row, g.split, g.against, g.metric, g.name): g for g in gains}

    def of(
        self, row: str, split: str, against: str = BOTH, metric: str = MIOU, name: str | None = None
    ) -> Gain | None:
        """Return one gain; None for a baseline itself and for a class without ground truth."""
        return self._all.get((row, split, against, metric, name))

    def all(self, metric: str) -> list[Gain]:
        """Return the gains of one score in the order of splits and rows."""
        return [gain for gain in self._all.values() if gain.metric == metric]


@dataclass(frozen=True)
class Measured:
    """What the cells of one split scored: sums `[S, G, 4, C]` by row, seeds in the same order.

    `baselines` are the rows that learned from the same real pairs alone.
    """

    split: Split
    sums: Mapping[str, np.ndarray]
    seeds: Mapping[str, tuple[int, ...]]
    baselines: Sequence[str] = BASELINES

    def values(self, row: str) -> np.ndarray:
        """Return mIoU, mIoU* and class IoUs of every seed of a row, `[S, 2 + C]`, percent."""
        return values(self.sums[row].sum(axis=1), self.split.eval_ids)

    @property
    def better(self) -> str:
        """The baseline with the highest mean mIoU on this split, of those with every seed."""
        there = [row for row in self.baselines if row in self.sums]
        most = max(len(self.seeds[row]) for row in there)
        every = [row for row in there if len(self.seeds[row]) == most]
        return max(every, key=lambda row: self.values(row)[:, 0].mean())

    def draws(self) -> Draws:
        """Return the resamples of groups and seeds, the same for every row."""
        return draw(len(self.split.groups), max(map(len, self.seeds.values())))

    def resampled(self, row: str, draws: Draws) -> np.ndarray:
        """Return the scores of a row's seeds in every resample of the groups, `[B, S, 2 + C]`."""
        return _resampled(self.sums[row], draws, self.split.eval_ids)


def measure(
    cells: Mapping[str, Sequence[Cell]], split: Split, baselines: Sequence[str] = BASELINES
) -> Measured:
    """Read the confusion matrices of all cells on one split."""
    sums = {
        row: np.stack([group_sums(cell, split) for cell in entries])
        for row, entries in cells.items()
    }
    seeds = {row: tuple(cell.seed for cell in entries) for row, entries in cells.items()}
    return Measured(split, sums, seeds, tuple(baselines))


def gains_of(measured: Measured, kinds: Mapping[str, str] | None = None) -> list[Gain]:
    """Compare every row with each baseline and with the best of them, paired by seed.

    Rows with a kind in `kinds`, such as those without real pairs, do not compete: each kind is
    judged by itself, and so are the baselines.
    """
    drawn: dict[str, np.ndarray] = {}
    draws = measured.draws()

    def resampled(row: str) -> np.ndarray | None:
        if len(measured.seeds[row]) == 1:
            return None
        if row not in drawn:
            drawn[row] = measured.resampled(row, draws)
        return drawn[row]

    found: list[Gain] = []
    for against, baseline in _comparisons(measured):
        rows = [row for row in measured.sums if row != baseline]
        if against != BASELINE:
            rows = [row for row in rows if row not in measured.baselines]
        for row in rows:
            found += _gains_of_row(measured, row, (against, baseline), draws, resampled)
    return _judged(found, dict.fromkeys(measured.baselines, BASELINE) | dict(kinds or {}))


def _comparisons(measured: Measured) -> list[tuple[str, str]]:
    more = [(MORE, MORE)] if MORE in measured.sums else []
    return [(BASELINE, BASELINE), *more, (BOTH, measured.better)]


def _gains_of_row(
    measured: Measured,
    row: str,
    compared: tuple[str, str],
    draws: Draws,
    resampled: Callable[[str], np.ndarray | None],
) -> list[Gain]:
    against, baseline = compared
    seeds = [measured.seeds[baseline].index(seed) for seed in measured.seeds[row]]
    own, base = resampled(row), resampled(baseline)
    both = None if own is None or base is None else own - base
    differences = None if both is None else np.einsum("bs,bsk->bk", draws.seeds, both)
    intervals = paired(measured.values(row), measured.values(baseline)[seeds], differences)
    names = [(MIOU, None), (MIOU_STAR, None)]
    names += [(IOU, name) for name in measured.split.pairs.classes.names]
    return [
        Gain(row, measured.split.name, against, baseline, metric, name, interval)
        for (metric, name), interval in zip(names, intervals, strict=True)
        if interval is not None
    ]


def _resampled(sums: np.ndarray, draws: Draws, eval_ids: Sequence[int]) -> np.ndarray:
    """Return the scores of every seed in every resample of the groups, float32 `[B, S, 2 + C]`."""
    seeds, groups, *rest = sums.shape
    flat = sums.transpose(1, 0, 2, 3).reshape(groups, -1)
    drawn = (draws.groups @ flat).reshape(-1, seeds, *rest)
    return values(drawn, eval_ids).astype(np.float32)


def _judged(found: Sequence[Gain], kinds: Mapping[str, str]) -> list[Gain]:
    """Judge every gain: those of one table and kind together, of single classes each alone."""
    tables: dict[tuple[str, str, str, str], list[int]] = {}
    for index, gain in enumerate(found):
        if gain.name is None:
            table = (gain.split, gain.against, gain.metric, kinds.get(gain.row, ""))
            tables.setdefault(table, []).append(index)
    adjusted = [gain.interval.p for gain in found]
    for members in tables.values():
        corrected = holm([found[index].interval.p for index in members])
        for index, p in zip(members, corrected, strict=True):
            adjusted[index] = p
    return [
        replace(gain, adjusted=p, says=judgement(gain.interval, p))
        for gain, p in zip(found, adjusted, strict=True)
    ]
