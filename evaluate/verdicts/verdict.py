"""The verdict in words, computed from intervals and corrected p values alone."""

from collections.abc import Sequence
from typing import Any

from evaluate.config import BASELINE, MORE
from evaluate.content import Content
from evaluate.statistics import HELPS, HURTS, LEVEL, NO_EVIDENCE, Interval, Spread
from evaluate.verdicts.gains import BOTH, IOU, Gain
from evaluate.verdicts.labels import FEWER, MORE_THAN, Number, RowWorth

Json = dict[str, Any]
ONE_SEED = "one seed"


def headline(content: Content) -> str:
    """Say in one sentence which rows help and hurt, against the better of the baselines."""
    split = content.head
    gains = [gain for row in content.rows if (gain := content.gains.of(row, split))]
    judged = [gain for gain in gains if gain.interval.low is not None]
    if not gains:
        return "**No row has synthetic pairs**, so nothing is compared."
    best = max(judged or gains, key=lambda gain: gain.interval.mean)
    over = f"points of mIoU over `{best.baseline}` on {split}"
    if not judged:
        return (
            f"**One seed: nothing can be said about chance**; highest is `{best.row}`, "
            f"{interval(best.interval)} {over}."
        )
    helping, hurting = (_group(judged, word) for word in (HELPS, HURTS))
    if helping:
        return f"**{helping}**{f', {hurting}' if hurting else ''}: {over}."
    return (
        f"**No row helps**: the best is `{best.row}`, {interval(best.interval)} {over}"
        f"{f'; {hurting}' if hurting else ''}."
    )


def levels(content: Content) -> str:
    """Say what the baselines reach, and how large a gain would have been needed."""
    split = content.head
    n = content.spread(BASELINE, split).n
    said = (
        f"On {content.dataset} ({split} split, {seeds_in_words(n)}) a segmenter that learns from "
        f"real pairs alone reaches {mean_std(content.spread(BASELINE, split))} mIoU (`{BASELINE}`)"
    )
    best, further = content.measured[split].better, ""
    if best not in (BASELINE, MORE):
        level = mean_std(content.spread(best, split))
        further = f" Rows are measured by `{best}`, the best row of the same pairs alone: {level}."
    if content.equal_compute:
        more = mean_std(content.spread(MORE, split))
        return (
            f"{said}, and {more} with as many pairs in a batch as rows with synthetic ones "
            f"(`{MORE}`).{further}"
        )
    return f"{said}. There is no row `{MORE}`: rows of equal compute were not compared.{further}"


def in_labels(content: Content) -> str:
    """Say what the best row is worth in labels; empty without a learning curve or such a row."""
    worth = content.worth.get(content.head)
    found = [row for row in worth.rows if row.row in content.rows] if worth else []
    if not found:
        return ""
    best = found[0]
    needed, times = labels_needed(best), times_as_many(best)
    return (
        f"**In labels:** real pairs alone need {needed} to do what `{best.row}` does with "
        f"{best.used}: {times} times as many."
    )


def labels_needed(found: RowWorth) -> str:
    """Return how many real pairs do what a row does, for example `310 [180, ≥ 367]`."""
    return _numbers(found.labels, found.low, found.high, digits=0)


def times_as_many(found: RowWorth) -> str:
    """Return the same over the number that the row used, for example `3.4 [2.0, ≥ 4.0]`."""
    ends = (end if end is None else end.over(found.used) for end in (found.low, found.high))
    return _numbers(found.labels.over(found.used), *ends, digits=1)


def _numbers(value: Number, low: Number | None, high: Number | None, *, digits: int) -> str:
    marks = {"": "", FEWER: "≤ ", MORE_THAN: "≥ "}

    def said(number: Number) -> str:
        return f"{marks[number.bound]}{number.value:.{digits}f}"

    return said(value) + (f" [{said(low)}, {said(high)}]" if low and high else "")


def checks(content: Content) -> list[str]:
    """Say of every control that it does not help, of the largest oracle that it does, or not."""
    lines = []
    for row in content.roles.controls:
        if gain := _judged(content, row):
            verdict = (
                "**which it must not**: gains of this table are not the labels' doing"
                if gain.says == HELPS
                else "as a control should"
            )
            lines.append(f"Control `{row}`, labels shuffled: {_said(gain)}, {verdict}.")
    oracles = sorted(content.roles.oracles, key=lambda row: -content.roles.num_real[row])
    for row in oracles[:1]:
        if gain := _judged(content, row):
            verdict = (
                "as an oracle should"
                if gain.says == HELPS
                else "**so even more real pairs show no gain here**, and synthetic ones can hardly"
            )
            number = content.roles.num_real[row]
            lines.append(f"Oracle `{row}`, {number} real pairs: {_said(gain)}, {verdict}.")
    return lines


def _judged(content: Content, row: str) -> Gain | None:
    """Return the gain of a row over the best baseline, None without an interval."""
    gain = content.gains.of(row, content.head)
    return gain if gain and gain.interval.low is not None else None


def _said(gain: Gain) -> str:
    return f"{interval(gain.interval)}, {says(gain)}"


def power(content: Content) -> str:
    """Say how large a difference would have been needed, from the intervals' half widths."""
    gains = [content.gains.of(row, content.head) for row in content.rows]
    halves = [
        (ends[1] - ends[0]) / 2
        for gain in gains
        if gain is not None and (ends := gain.interval.ends)
    ]
    if not halves:
        return ""
    low, high = f"{min(halves):.1f}", f"{max(halves):.1f}"
    needed = low if low == high else f"{low} to {high}"
    return f"Gains smaller than about {needed} points cannot be told from zero here."


def class_verdict(content: Content) -> list[str]:
    """Return which classes rows help and hurt, and how many gains are noise; empty for one seed."""
    counted = [entry["name"] for entry in content.classes if entry["eval"]]
    gains = [
        gain
        for name in counted
        for row in content.rows
        if (gain := content.gains.of(row, content.head, BOTH, IOU, name))
        and gain.interval.low is not None
    ]
    if not gains:
        return []
    lines = []
    for label, word in (("Helped", HELPS), ("Hurt", HURTS)):
        of_class: dict[str, list[str]] = {}
        for gain in gains:
            if gain.says == word:
                said = f"`{gain.row}` {signed(gain.interval.mean)}"
                of_class.setdefault(gain.name or "", []).append(said)
        named = [f"{name} ({', '.join(said)})" for name, said in of_class.items()]
        lines += [f"**{label}:** {', '.join(named)}."] if named else []
    noise = sum(gain.says == NO_EVIDENCE for gain in gains)
    which = f"all {noise}" if noise == len(gains) else f"{noise} of {len(gains)}"
    chance = f"{(1 - LEVEL) * len(gains):.2g}"
    return [
        *lines,
        f"**Noise:** {which} gains, whose intervals hold zero. Classes are judged one by one: by "
        f"chance alone about {chance} of {len(gains)} intervals exclude it.",
    ]


def says(gain: Gain) -> str:
    """Return the verdict on a row as a word."""
    if gain.interval.low is None:
        return ONE_SEED
    if gain.says == NO_EVIDENCE and gain.interval.excludes_zero:
        return f"{NO_EVIDENCE} (Holm)"
    return gain.says


def seeds_in_words(n: int) -> str:
    """Return `one seed` or `n seeds`."""
    return "one seed" if n == 1 else f"{n} seeds"


def interval(found: Interval) -> str:
    """Return a difference with its interval as text, for example `+1.2 [+0.3, +2.1]`."""
    if found.low is None or found.high is None:
        return signed(found.mean)
    near_zero = min(abs(found.low), abs(found.high)) < 0.05
    digits = 2 if near_zero else 1  # one digit would hide on which side of zero a bound lies
    mean, low, high = (signed(value, digits) for value in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]"


def mean_std(found: Spread) -> str:
    """Return mean and standard deviation as text; the mean alone for one seed."""
    return f"{found.mean:.1f}" + ("" if found.std is None else f" ± {found.std:.1f}")


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign; what rounds to zero has a plus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def listed(names: Sequence[str]) -> str:
    """Return names as `a`, `a and b` or `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _group(gains: Sequence[Gain], word: str) -> str:
    """Return all gains of one verdict, highest first, for example `a` (+1.2 [+0.3, +2.1]) helps."""
    found = sorted((g for g in gains if g.says == word), key=lambda gain: -gain.interval.mean)
    named = [f"`{gain.row}` ({interval(gain.interval)})" for gain in found]
    return f"{listed(named)} {word if len(named) == 1 else word[:-1]}" if named else ""
