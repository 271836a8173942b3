"""The verdict in words, computed from intervals and from nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.config import BASELINE
from evaluate.page.numbers import head_split, of_split
from evaluate.statistics import HELPS, HURTS, LEVEL, NO_EVIDENCE, ONE_SEED, judgement

CONDITIONAL = (
    "All of this is conditional on one trained generator per method: the deviations contain the "
    "segmenter's seed and the slice of pairs it reads, not the training of the generators."
)


def verdict(recipes: Mapping[str, dict[str, Any]], dataset: str) -> str:
    """Return one paragraph saying which recipes help, hurt, or show no evidence of either."""
    split = head_split(recipes)
    base = of_split(recipes[BASELINE], split)["miou"]
    others = [name for name in recipes if name != BASELINE]
    spread = "" if base["std"] is None else f" ± {base['std']:.1f}"
    sentences = [
        headline({name: of_split(recipes[name], split)["delta"] for name in others}, split),
        f"On {dataset} ({split} split, {seeds_in_words(base['n'])} per recipe) a segmenter trained "
        f"on real pairs alone reaches {base['mean']:.1f}{spread} mIoU.",
    ]
    if others:
        gains = [f"`{name}` {_gain(of_split(recipes[name], split)['delta'])}" for name in others]
        sentences.append(f"Gains over it in points, with 95 % intervals: {', '.join(gains)}.")
    if split == "test" and others:
        gains = [f"`{name}` {_gain(recipes[name]['delta'])}" for name in others]
        sentences.append(f"On val, for comparison: {', '.join(gains)}.")
    sentences.append(_power([of_split(recipes[name], split)["delta"] for name in others]))
    return " ".join(filter(None, [*sentences, CONDITIONAL if others else ""]))


def headline(deltas: Mapping[str, Mapping[str, Any]], split: str) -> str:
    """Say in one sentence which recipes fall on which side, by their 95 % intervals."""
    groups: dict[str, list[str]] = {}
    for name, delta in deltas.items():
        groups.setdefault(judgement(delta), []).append(f"`{name}`")
    if ONE_SEED in groups:
        return "**One seed: nothing can be said about chance.**"
    parts = []
    for word in (HELPS, HURTS):
        if word in groups:
            verb = word if len(groups[word]) == 1 else word[:-1]
            parts.append(f"{_listed(groups[word])} {verb}")
    if NO_EVIDENCE in groups:
        parts.append(f"no evidence that {_listed(groups[NO_EVIDENCE], 'or')} helps or hurts")
    text = "; ".join(parts)
    return f"**On {split}: {text}.**" if text else ""


def class_verdict(recipes: Mapping[str, dict[str, Any]], classes: Sequence[dict[str, Any]]) -> str:
    """Return a list of the classes that recipes help and hurt, and how many gains are noise.

    `classes` are {name, eval, share}; those that are not in mIoU are left out. Empty for one seed.
    """
    split = head_split(recipes)
    counted = [entry for entry in classes if entry["eval"]]
    found: dict[str, dict[str, list[str]]] = {}
    total = 0
    for entry in sorted(counted, key=lambda entry: -entry["share"]):
        for name in (name for name in recipes if name != BASELINE):
            delta = of_split(recipes[name], split)["iou_delta"][entry["name"]]
            if delta is None or judgement(delta) == ONE_SEED:
                continue
            total += 1
            gains = found.setdefault(judgement(delta), {}).setdefault(entry["name"], [])
            gains.append(f"`{name}` {signed(delta['mean'])}")
    lines = []
    for label, word in (("Helped", HELPS), ("Hurt", HURTS)):
        if word in found:
            named = [f"{name} ({', '.join(gains)})" for name, gains in found[word].items()]
            lines.append(f"* **{label}:** {', '.join(named)}.")
    if total:
        rest = sum(len(gains) for gains in found.get(NO_EVIDENCE, {}).values())
        which = f"all {total}" if rest == total else f"the other {rest} of {total}"
        lines.append(
            f"* **Noise:** {which} gains; their intervals hold zero. By chance alone about "
            f"{(1 - LEVEL) * total:.2g} of {total} intervals exclude it."
        )
    return "\n".join(lines)


def seeds_in_words(n: int) -> str:
    """Return `one seed` or `n seeds`."""
    return "one seed" if n == 1 else f"{n} seeds"


def interval(delta: Mapping[str, Any]) -> str:
    """Return a difference with its interval as text, for example `+1.2 [+0.3, +2.1]`."""
    if delta["low"] is None:
        return signed(delta["mean"])
    near_zero = min(abs(delta["low"]), abs(delta["high"])) < 0.05
    digits = 2 if near_zero else 1  # one digit would hide on which side of zero a bound lies
    mean, low, high = (signed(delta[key], digits) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign; what rounds to zero has a plus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _listed(names: list[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _gain(delta: Mapping[str, Any]) -> str:
    """Return a gain with what its interval says; one that holds zero is no evidence."""
    found = judgement(delta)
    word = f" ({found})" if found in (HELPS, HURTS, NO_EVIDENCE) else ""
    return f"{interval(delta)}{word}"


def _power(deltas: list[Mapping[str, Any]]) -> str:
    """Say how large a difference would have been needed, from the intervals' half widths."""
    halves = [(d["high"] - d["low"]) / 2 for d in deltas if d["low"] is not None]
    if not halves:
        return ""
    low, high = f"{min(halves):.1f}", f"{max(halves):.1f}"
    needed = low if low == high else f"{low} to {high}"
    return (
        f"A difference smaller than about {needed} points could not have been told from zero "
        "with these seeds."
    )
