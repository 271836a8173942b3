"""The verdict in words, computed from intervals and from nothing else."""

from collections.abc import Mapping
from typing import Any

from evaluate.config import BASELINE
from evaluate.numbers import head_split, of_split
from evaluate.statistics import HELPS, HURTS, NO_EVIDENCE, judgement

CONDITIONAL = (
    "All of this is conditional on one trained generator per method: the deviations contain the "
    "segmenter's seed and the drawing of pairs, not the training of the generators."
)


def verdict(recipes: Mapping[str, dict[str, Any]], dataset: str) -> str:
    """Return one paragraph saying which recipes help, hurt, or show no evidence of either."""
    split = head_split(recipes)
    base = of_split(recipes[BASELINE], split)["miou"]
    others = [name for name in recipes if name != BASELINE]
    spread = "" if base["std"] is None else f" ± {base['std']:.1f}"
    sentences = [
        f"On {dataset} ({split} split, {seeds_in_words(base['n'])} per recipe) a segmenter trained "
        f"on real pairs alone reaches {base['mean']:.1f}{spread} mIoU."
    ]
    sentences += [_sentence(name, of_split(recipes[name], split)["delta"]) for name in others]
    if split == "test" and others:
        words = [f"`{name}` {_short(recipes[name]['delta'])}" for name in others]
        sentences.append(f"On val, for comparison: {', '.join(words)}.")
    sentences.append(_power([of_split(recipes[name], split)["delta"] for name in others]))
    return " ".join(filter(None, [*sentences, CONDITIONAL if others else ""]))


def seeds_in_words(n: int) -> str:
    """Return `one seed` or `n seeds`."""
    return "one seed" if n == 1 else f"{n} seeds"


def interval(delta: Mapping[str, Any]) -> str:
    """Return a difference with its interval as text, for example `+1.2 [+0.3, +2.1]`."""
    if delta["low"] is None:
        return f"{delta['mean']:+.1f}"
    return f"{delta['mean']:+.1f} [{delta['low']:+.1f}, {delta['high']:+.1f}]"


def _sentence(name: str, delta: Mapping[str, Any]) -> str:
    found = judgement(delta)
    if found in (HELPS, HURTS):
        return f"`{name}` **{found}**: {interval(delta)} points, the interval excludes zero."
    if found == NO_EVIDENCE:
        return (
            f"`{name}`: **no evidence** that it helps or hurts, {interval(delta)} points, "
            "the interval holds zero."
        )
    return f"`{name}`: {interval(delta)} points in one seed, which says nothing about chance."


def _short(delta: Mapping[str, Any]) -> str:
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
