"""Successive halving, and how long its rungs are, so that the confirmation gets its share.

Jamieson and Talwalkar, Non-stochastic best arm identification (AISTATS 2016): all rows are trained
briefly, the better ones longer. A rung trains anew, because the learning rate falls to 0 in each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from evaluate.advice.config import AdviseParams

Score = Callable[[str, int], float]  # of a row after so many iterations


@dataclass(frozen=True)
class Rung:
    """What rows scored after so many iterations, the best first."""

    iterations: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Ladder:
    """The rungs of one competition, and who won; no rung where there was no choice."""

    winner: str
    rungs: tuple[Rung, ...]

    @property
    def last(self) -> float:
        """The winner's score on the last rung that it was trained on."""
        return self.rungs[-1].scores[self.winner] if self.rungs else math.nan


@dataclass(frozen=True)
class Heat:
    """One competition: how many rows, and how many pairs a batch of theirs holds on average."""

    rows: int
    batch: float


@dataclass(frozen=True)
class Plan:
    """Iterations of each rung and seeds of the confirmation.

    `seconds` is what both will take, `needed` what the shortest search and the fewest seeds that
    a verdict needs would take.
    """

    lengths: tuple[int, ...]
    seeds: tuple[int, ...]
    seconds: float
    needed: float


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Return rows from the best to the worst; equal ones in their order, those without score last.

    A score is NaN where the images show no class that counts.
    """
    return sorted(scores, key=lambda row: math.inf if math.isnan(scores[row]) else -scores[row])


def survivors(scores: Mapping[str, float], keep: float) -> list[str]:
    """Return the rows that a rung keeps, the best first: that fraction of them, one at least."""
    return ranked(scores)[: kept(len(scores), keep)]


def kept(count: int, keep: float) -> int:
    """Return how many of `count` rows a rung keeps."""
    return max(1, math.ceil(round(count * keep, 6)))


def halve(rows: Sequence[str], lengths: Sequence[int], keep: float, score: Score) -> Ladder:
    """Let rows compete on rungs of so many iterations; a rung with one row left is not trained."""
    left, rungs = list(rows), []
    for length in lengths:
        if len(left) == 1:
            break
        scores = {row: score(row, length) for row in left}
        order = ranked(scores)
        rungs.append(Rung(length, {row: scores[row] for row in order}))
        left = survivors(scores, keep)
    return Ladder(left[0], tuple(rungs))


def counts(rows: int, num_rungs: int, keep: float) -> list[int]:
    """Return how many rows each rung trains; 0 once one is left."""
    found = []
    for _ in range(num_rungs):
        found.append(rows if rows > 1 else 0)
        rows = kept(rows, keep)
    return found


def plan(
    params: AdviseParams,
    iterations: int,
    heats: Sequence[Heat],
    *,
    pace: float,
    seconds: float,
) -> Plan:
    """Fit search and confirmation into the seconds that are left.

    `heats` are the competitions whose winners are confirmed with `iterations`, `pace` is seconds
    for each pair that is shown. The fewest seeds of a verdict are set aside first; the search has
    the rest, its rungs shorter where that is too little, down to `shortest`. What is left over goes
    to more seeds; where not even the fewest fit, as many as do.
    """
    full = [math.ceil(rung * iterations) for rung in params.rungs]
    each = iterations * sum(heat.batch for heat in heats) * pace
    fewest = params.at_least * each
    whole = _search(params, full, heats) * pace
    scale = 1.0 if whole <= 0 else min(1.0, max(params.shortest, (seconds - fewest) / whole))
    lengths = tuple(max(1, math.floor(length * scale)) for length in full)
    search = _search(params, lengths, heats) * pace
    fitting = math.floor(max(0.0, seconds - search) / each + 1e-9)
    if scale > params.shortest:
        fitting = max(fitting, params.at_least)  # rounding of the rungs takes none away
    seeds = params.seeds.confirm[:fitting]
    least = [max(1, math.floor(length * params.shortest)) for length in full]
    needed = _search(params, least, heats) * pace + fewest
    return Plan(lengths, seeds, search + len(seeds) * each, needed)


def _search(params: AdviseParams, lengths: Sequence[int], heats: Sequence[Heat]) -> float:
    """Return how many pairs the search shows."""
    shown = 0.0
    for heat in heats:
        rungs = counts(heat.rows, len(lengths), params.keep)
        shown += heat.batch * sum(map(mul, rungs, lengths))
    return shown * len(params.seeds.search)
