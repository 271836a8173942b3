"""The advice in words: one paragraph, and lines for params.yaml."""

import io
import math
from collections.abc import Sequence
from typing import Any

from evaluate.advice.advice import Advice, written
from evaluate.advice.lacking import Look
from evaluate.statistics import HURTS
from evaluate.verdicts.gains import BOTH
from evaluate.verdicts.verdict import interval, listed, mean_std, signed

FEW_IMAGES = 30  # below it, more images to confirm on are named as what to label first
FLAT = 0.5  # points that the last quarter of a flat training brings at most


def page(said: Advice, exported: str | None) -> str:
    """Return advice.md: the paragraph, and what to paste into params.yaml."""
    return "\n".join(
        [
            "# Advice",
            "",
            paragraph(said, exported),
            "",
            "Lines to merge into `params.yaml`; `make repro` then reports on these rows:",
            "",
            "```yaml",
            lines(said) + "```",
            "",
        ]
    )


def paragraph(said: Advice, exported: str | None = None) -> str:
    """Say what to use, what it is worth, and what to label next; `exported` is where pairs are."""
    if said.helps:
        parts = [_use(said), _worth(said), _exported(said, exported)]
    else:
        parts = [_refusal(said), _tried(said), *_why(said), _instead(said)]
    return " ".join(filter(None, [*parts, _label_next(said)]))


# == it helps ==


def _use(said: Advice) -> str:
    sets = listed([f"`{name}`" for name in said.rows[said.winner].sets])
    many = "s" * (len(said.rows[said.winner].sets) > 1)
    return (
        f"**Train with the synthetic pairs of the set{many} {sets}, as the row `{said.winner}` "
        f"does:** {_recipe(said, said.winner)}."
    )


def _worth(said: Advice) -> str:
    gain = said.gains[BOTH]
    over = [
        f"{interval(it.interval)} over {_baseline(said, against)}"
        for against, it in said.gains.items()
        if against != BOTH
    ]
    return (
        f"That gains {listed(over)} points of mIoU ({_seeds(said)}, 95 % intervals) on "
        f"{_images(said)}, where real pairs alone reach {mean_std(said.levels[gain.baseline])} at "
        "best."
    )


def _exported(said: Advice, exported: str | None) -> str:
    if exported is None:
        return ""
    form = said.contest.params.export
    return f"Your real pairs and these are in `{exported}`, written for {form}."


# == it does not ==


def _refusal(said: Advice) -> str:
    if said.verdict == HURTS:
        return "**Train on your real pairs alone: the synthetic pairs that were tried hurt.**"
    return "**Train on your real pairs alone: no synthetic pairs are shown to help.**"


def _tried(said: Advice) -> str:
    count = len(said.contest.candidates)
    best = f"`{said.winner}`" if count == 1 else f"The best of {count} rows, `{said.winner}`,"
    seeds, least = len(said.plan.seeds), said.contest.params.at_least
    if not said.enough:
        many = (
            f"{seeds} of the {least} fresh seeds" if seeds else f"none of the {least} fresh seeds"
        )
        short = (
            f"{said.contest.params.minutes:g} minutes were enough for {many} that a verdict needs: "
            f"about {math.ceil(said.plan.needed / 60)} are"
        )
        if not seeds:
            return f"{best} was chosen and not confirmed, because {short}."
        return f"{best} comes to {_gain(said)}, and {short}."
    return f"{best} comes to {_gain(said)}: {said.verdict}."


def _gain(said: Advice) -> str:
    gain = said.gains[BOTH]
    return (
        f"{interval(gain.interval)} points of mIoU over real pairs alone "
        f"(`{gain.baseline}`; {_seeds(said)}{', 95 % interval' * (gain.interval.ends is not None)})"
        f" on {_images(said)}"
    )


def _why(said: Advice) -> list[str]:
    """Say why a gain would not have been seen, or could not be made."""
    if BOTH not in said.gains:
        return []
    found, level = [], said.levels[said.better]
    if level.std is not None and (ends := said.gains[BOTH].interval.ends):
        half = (ends[1] - ends[0]) / 2
        found.append(
            f"real pairs alone reach {level.mean:.1f} and vary by {level.std:.1f} from seed to "
            f"seed, so a gain below about {half:.1f} cannot be told from none"
        )
    rise = said.rises.get(said.winner)
    if rise is not None and rise > FLAT:
        found.append(
            f"the training still rose, by {signed(rise)} in its last quarter: more "
            "`segment.iterations` (`budget: hours`) may change the answer"
        )
    elif rise is not None:
        found.append(f"the training rose no longer ({signed(rise)} in its last quarter)")
    if (count := len(said.images.confirm.ids)) < FEW_IMAGES:
        found.append(f"{count} images are few to judge by: a larger val, or a test, narrows this")
    return [f"Why: {'; '.join(found)}."] if found else []


def _instead(said: Advice) -> str:
    return f"What serves your real pairs best is {_baseline(said, said.better)}."


# == what to label ==


def _label_next(said: Advice) -> str:
    lacking, found = said.lacking, []
    if lacking.rare:
        named = [
            f"`{it.name}` (IoU {it.iou:.0f} %, in {it.pairs} of {lacking.num_pairs} training pairs)"
            for it in lacking.rare
        ]
        found.append(f"images with {listed(named)}")
    without_masks = [it for it in lacking.looks if not it.labelled]
    alike = [it for it in lacking.looks if it.labelled]
    if without_masks:
        found.append(_looks("", without_masks))
    if alike:
        found.append(_looks("images that look like ", alike))
    if found:
        return f"**Label next** {'; and '.join(found)}."
    return f"**Label next** {_nothing_special(said)}."


def _looks(what: str, looks: Sequence[Look]) -> str:
    named = [f"`{it.name}`{f' of {it.group}' if it.group else ''}" for it in looks]
    times = sorted({f"{it.times:.1f}" for it in looks}, key=float)
    far = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    return (
        f"{what}{listed(named)}, {far} times as far from every training image as these are from "
        "each other, by pretrained features"
    )


def _nothing_special(said: Advice) -> str:
    weakest, looked = said.lacking.weakest, said.lacking.looked
    seen = f", and all {looked} images that were looked at resemble training images" * (looked > 0)
    if weakest is None:
        return f"what you can: no class could be scored{seen}"
    return (
        f"more of the same: no class is rare in training (the weakest is `{weakest.name}`, IoU "
        f"{weakest.iou:.0f} %, in {weakest.pairs} of {said.lacking.num_pairs} pairs){seen}"
    )


# == parts ==


def _baseline(said: Advice, base: str) -> str:
    return f"`{base}` ({_recipe(said, base)})"


def _recipe(said: Advice, name: str) -> str:
    """Say how a row learns, for example `4 real and 4 synthetic pairs in a batch, cutmix`."""
    row = said.contest.completed(name, said.rows[name])
    if row.synthetic:
        shown = f"{row.real} real and {row.synthetic} synthetic pairs in a batch"
    else:
        shown = f"real pairs alone, {row.real} in a batch"
    words = [shown]
    if row.until < 1:
        words.append(f"real ones alone after {row.until:.0%} of the training")
    if row.augment:
        words.append(f"augmented by {listed(row.augment)}")
    if row.sampling != "uniform":
        words.append(f"{row.sampling.replace('_', ' ')} more often")
    return ", ".join(words)


def _images(said: Advice) -> str:
    images = said.images.confirm
    return f"{len(images.ids)} images ({images.words}) that took no part in the choice"


def _seeds(said: Advice) -> str:
    count = len(said.plan.seeds)
    return f"{count} fresh seed{'s' * (count != 1)}"


def lines(said: Advice) -> str:
    """Return the lines for params.yaml: sets that the winner uses, rows, which rows to report."""
    rows = dict(said.rows)
    if not said.helps:
        del rows[said.winner]
    sets = [name for row in rows.values() for name in row.sets]
    text = "sets:\n" + "".join(_line(n, said.contest.sets[n]) for n in sets) if sets else ""
    text += "rows:\n" + "".join(_line(name, written(row)) for name, row in rows.items())
    return text + f"report:\n{_line('rows', list(rows))}"


def _line(name: str, value: Any) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = True, 4096
    yaml.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    text = io.StringIO()
    yaml.dump(value, text)
    return f"  {name}: {text.getvalue().strip()}\n"
