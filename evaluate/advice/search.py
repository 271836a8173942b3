"""The search: baselines find their augmentation, candidates compete, fresh seeds confirm."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from data.stage.progress import log
from evaluate.advice.contest import Contest, augmented
from evaluate.advice.schedule import Heat, Ladder, Plan, counts, halve, plan
from evaluate.advice.trials import Trial
from evaluate.config import BASELINE
from segment.rows import RowParams

CANDIDATES = "candidates"


@dataclass(frozen=True)
class Entry:
    """A row that is to be trained: iterations, seed, and whether it is scored to confirm."""

    name: str
    row: RowParams
    iterations: int
    seed: int
    confirms: bool = False


Run = Callable[[Entry, str], Trial]  # the text names the trial in the log


@dataclass(frozen=True)
class Outcome:
    """What a search came to.

    `ladders` go by baseline, and `CANDIDATES`; `rows` are the winners as they were confirmed, by
    baseline and by the name of the best candidate, which is `winner`. `confirmed` has their
    trials, one for each seed of the plan.
    """

    plan: Plan
    ladders: Mapping[str, Ladder]
    winner: str
    rows: Mapping[str, RowParams]
    trials: Sequence[Trial]
    confirmed: Mapping[str, Sequence[Trial]]


def search(contest: Contest, run: Run) -> Outcome:
    """Run the whole search. The same trials give the same outcome, whenever they were run.

    The first trial says how fast this machine is; only the plan follows it.
    """
    counter = _Counter(run)
    planned = _plan(contest, counter)
    _say(contest, planned)
    counter.total = _total(contest, planned)
    ladders: dict[str, Ladder] = {}
    rows: dict[str, RowParams] = {}

    def compete(heat: str, entries: Mapping[str, RowParams]) -> RowParams:
        def score(name: str, iterations: int) -> float:
            seeds = contest.params.seeds.search
            asked = [Entry(name, entries[name], iterations, seed) for seed in seeds]
            return fmean(counter(entry).miou for entry in asked)

        ladders[heat] = halve([*entries], planned.lengths, contest.params.keep, score)
        return entries[ladders[heat].winner]

    for base, variants in contest.baselines.items():
        rows[base] = compete(base, variants)
    candidates = dict(contest.candidates)
    if contest.params.share_augment:
        best = rows[better(ladders)]
        candidates = {name: augmented(row, best) for name, row in candidates.items()}
    winning = compete(CANDIDATES, candidates)
    winner = ladders[CANDIDATES].winner
    rows[winner] = winning
    confirmed: dict[str, list[Trial]] = {name: [] for name in rows}
    for seed in planned.seeds:
        for name, row in rows.items():
            entry = Entry(name, row, contest.segment.iterations, seed, confirms=True)
            confirmed[name].append(counter(entry))
    return Outcome(planned, ladders, winner, rows, tuple(counter.trials), confirmed)


def better(ladders: Mapping[str, Ladder]) -> str:
    """Return the baseline whose winner scored best; the first where none was trained."""
    known = {base: ladder.last for base, ladder in ladders.items() if not math.isnan(ladder.last)}
    return max(known, key=lambda base: known[base]) if known else next(iter(ladders))


def heats(contest: Contest) -> list[Heat]:
    """Return the competitions; that of the candidates as if all had the largest batch."""
    found = [
        Heat(len(rows), contest.batch(base, rows[base])) for base, rows in contest.baselines.items()
    ]
    largest = max(contest.batch(name, row) for name, row in contest.candidates.items())
    return [*found, Heat(len(contest.candidates), largest)]


def _plan(contest: Contest, counter: "_Counter") -> Plan:
    params, iterations = contest.params, contest.segment.iterations
    length = math.ceil(params.rungs[0] * iterations)
    row = contest.baselines[BASELINE][BASELINE]
    first = counter(Entry(BASELINE, row, length, params.seeds.search[0]))
    pace = first.seconds / (length * contest.batch(BASELINE, row))
    left = params.minutes * 60 - first.seconds
    return plan(params, iterations, heats(contest), pace=pace, seconds=left)


def _total(contest: Contest, planned: Plan) -> int:
    params = contest.params
    rungs = [counts(heat.rows, len(planned.lengths), params.keep) for heat in heats(contest)]
    return sum(map(sum, rungs)) * len(params.seeds.search) + len(rungs) * len(planned.seeds)


def _say(contest: Contest, planned: Plan) -> None:
    log.info(
        f"{len(contest.candidates)} candidates and {len(contest.baselines)} baselines, rungs of "
        f"{', '.join(map(str, planned.lengths))} iterations, then {len(planned.seeds)} fresh seeds "
        f"of {contest.segment.iterations}: about {planned.seconds / 60:.0f} minutes"
    )


class _Counter:
    """Runs each trial once and remembers all of them in order."""

    def __init__(self, run: Run) -> None:
        self.total = 0
        self._run = run
        self._found: dict[tuple[str, int, int, bool], Trial] = {}

    @property
    def trials(self) -> list[Trial]:
        """Every trial, in the order in which it was asked for first."""
        return list(self._found.values())

    def __call__(self, entry: Entry) -> Trial:
        key = (entry.name, entry.iterations, entry.seed, entry.confirms)
        if key not in self._found:
            of = f" of {self.total}" if self.total else ""
            label = f"trial {len(self._found) + 1}{of}, {entry.name}, seed {entry.seed}"
            self._found[key] = self._run(entry, label)
        return self._found[key]
