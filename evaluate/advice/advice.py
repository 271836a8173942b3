"""The advice: the verdict on the winner, by the statistics of the report, and what backs it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluate.advice.contest import Contest
from evaluate.advice.images import Images, Shared
from evaluate.advice.lacking import Lacking
from evaluate.advice.schedule import Ladder, Plan
from evaluate.advice.search import Outcome, better
from evaluate.collect import late_rise, val_curves
from evaluate.config import BASELINES
from evaluate.statistics import HELPS, NO_EVIDENCE, Spread, spread_of
from evaluate.verdicts.gains import BOTH, Gain, Gains, Measured, gains_of
from segment.rows import RowParams

Json = dict[str, Any]


@dataclass(frozen=True)
class Advice:
    """What a search says.

    `rows` are the baselines, as they are served best, and the `winner`; `gains` the winner's by
    what it is compared with, `levels` mIoU on the images that confirm, `rises` what the last
    quarter of training brought on those that choose; all three empty without confirmation.
    """

    contest: Contest
    plan: Plan
    ladders: Mapping[str, Ladder]
    winner: str
    rows: Mapping[str, RowParams]
    gains: Mapping[str, Gain]
    levels: Mapping[str, Spread]
    rises: Mapping[str, float | None]
    images: Shared
    lacking: Lacking

    @property
    def verdict(self) -> str:
        """Helps, hurts or no evidence: the winner against the better baseline, as in the report.

        Fewer seeds than a verdict needs are no evidence, whatever they say.
        """
        return self.gains[BOTH].says if self.enough and BOTH in self.gains else NO_EVIDENCE

    @property
    def enough(self) -> bool:
        """Whether there was time for the seeds that a verdict needs."""
        return len(self.plan.seeds) >= self.contest.params.at_least

    @property
    def helps(self) -> bool:
        """Whether the winner helps."""
        return self.verdict == HELPS

    @property
    def better(self) -> str:
        """The better baseline: as confirmed, else as the search found."""
        if BOTH in self.gains:
            return self.gains[BOTH].baseline
        return better({base: self.ladders[base] for base in BASELINES if base in self.ladders})


def measured(outcome: Outcome, images: Images) -> Measured | None:
    """Return what the confirming trials scored; None without any."""
    if not outcome.plan.seeds:
        return None
    sums = {row: np.stack([it.sums for it in found]) for row, found in outcome.confirmed.items()}
    seeds = dict.fromkeys(sums, outcome.plan.seeds)
    baselines = [row for row in BASELINES if row in sums]
    return Measured(images.split, sums, seeds, baselines)


def advice(contest: Contest, outcome: Outcome, images: Shared, lacking: Lacking) -> Advice:
    """Judge the winner by its paired gains over both baselines."""
    found = measured(outcome, images.confirm)
    gains: dict[str, Gain] = {}
    levels: dict[str, Spread] = {}
    if found is not None:
        every = Gains(gains_of(found))
        compared = {it: every.of(outcome.winner, images.confirm.split.name, it) for it in AGAINST}
        gains = {against: gain for against, gain in compared.items() if gain is not None}
        levels = {row: spread_of(found.values(row)[:, 0].tolist()) for row in found.sums}
    curves = {
        row: [it.about["val_curve"] for it in trials]
        for row, trials in outcome.confirmed.items()
        if trials
    }
    rises = {row: late_rise(*curve) for row, curve in val_curves(curves).items()}
    return Advice(
        contest=contest,
        plan=outcome.plan,
        ladders=outcome.ladders,
        winner=outcome.winner,
        rows=outcome.rows,
        gains=gains,
        levels=levels,
        rises=rises,
        images=images,
        lacking=lacking,
    )


AGAINST = (*BASELINES, BOTH)


def class_ious(outcome: Outcome, images: Shared) -> np.ndarray:
    """Return the IoU of every class `[C]`, percent: of the best real pairs alone, mean over seeds.

    On the images that confirm; where nothing was confirmed, on those that choose, after the last
    rung.
    """
    if (found := measured(outcome, images.confirm)) is not None:
        return found.values(found.better)[:, 2:].mean(axis=0)
    split = images.choose.split
    baseline = [it for it in outcome.trials if it.about["row"].startswith(BASELINES[0])]
    last = max(baseline, key=lambda it: it.about["iterations"])
    only = Measured(split, {BASELINES[0]: last.sums[None]}, {BASELINES[0]: (last.about["seed"],)})
    return only.values(BASELINES[0])[0, 2:]


def to_json(said: Advice, trials: Outcome) -> Json:
    """Return the content of advice.json: every trial, every rung, the verdict; no times."""
    plan = asdict(said.plan)
    content = {
        "verdict": said.verdict,
        "winner": said.winner,
        "rows": {name: written(row) for name, row in said.rows.items()},
        "gains": {against: _gain(gain) for against, gain in said.gains.items()},
        "levels": {row: asdict(spread) for row, spread in said.levels.items()},
        "rises": dict(said.rises),
        "plan": plan | {"minutes": said.contest.params.minutes},
        "chosen_on": _images(said.images.choose),
        "confirmed_on": _images(said.images.confirm),
        "left_out": list(said.contest.left_out),
        "ladders": {heat: asdict(ladder) for heat, ladder in said.ladders.items()},
        "lacking": asdict(said.lacking),
        "trials": [trial.about for trial in trials.trials],
    }
    return _without_nan(content)


def _without_nan(value: Any) -> Any:
    """Return JSON data with null for what is not a number."""
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def written(row: RowParams) -> Json:
    """Return a row as it is written in params.yaml."""
    return row.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _gain(gain: Gain) -> Json:
    return {"baseline": gain.baseline, "says": gain.says, "adjusted": gain.adjusted} | asdict(
        gain.interval
    )


def _images(images: Images) -> Json:
    return {"what": images.words, "images": len(images.ids), "groups": len(images.split.groups)}
