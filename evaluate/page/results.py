"""Sections on what the segmenters scored: the first screen, every split, classes, training."""

from collections.abc import Mapping, Sequence

from evaluate.config import BASELINE, BASELINES, MORE
from evaluate.content import Content
from evaluate.page.blocks import (
    Block,
    Figure,
    Fold,
    Section,
    Table,
    Text,
    bullets,
    text,
    without_empty,
)
from evaluate.verdicts.gains import BOTH, IOU, MIOU, MIOU_STAR, Gain
from evaluate.verdicts.verdict import (
    checks,
    class_verdict,
    headline,
    in_labels,
    interval,
    labels_needed,
    levels,
    mean_std,
    power,
    says,
    signed,
    times_as_many,
)

FLAT = 0.5  # points; a smaller late rise counts as flat
NAMES = {MIOU: "mIoU", MIOU_STAR: "mIoU\\*"}


def first_screen(content: Content, shown: Mapping[str, Figure]) -> Section:
    """Return the verdict, the forest plot, one table sorted by gain and three rows of pictures."""
    return Section(
        "",
        [
            *text(headline(content)),
            *text(in_labels(content)),
            *text(levels(content), power(content)),
            *text(*checks(content)),
            *_figure(shown, f"gains_{content.head}.png"),
            gains_table(content, content.head, MIOU),
            *_figure(shown, "labels.png"),
            *labels_table(content),
            *_figure(shown, "pairs.png"),
        ],
    )


def _figure(shown: Mapping[str, Figure], file: str) -> list[Figure]:
    return [shown[file]] if file in shown else []


def by_gain(content: Content, split: str, rows: Sequence[str]) -> list[str]:
    """Return rows by their gain over the better baseline, highest first."""
    better = content.measured[split].better
    level = content.spread(better, split).mean

    def key(row: str) -> float:
        gain = content.gains.of(row, split)
        return content.spread(row, split).mean - level if gain is None else gain.interval.mean

    return sorted(rows, key=key, reverse=True)


def gains_table(content: Content, split: str, metric: str) -> Table:
    """Return scores and gains of all rows that saw real pairs, sorted by gain, the best in bold."""
    rows = [row for row in content.cells if row not in content.alone]
    best = max(rows, key=lambda row: content.spread(row, split, metric).mean)
    lines = []
    for row in by_gain(content, split, rows):
        score = mean_std(content.spread(row, split, metric))
        gains = [content.gains.of(row, split, against, metric) for against in BASELINES]
        judged = content.gains.of(row, split, BOTH, metric)
        lines.append(
            [
                f"**`{row}`**" if row == best else f"`{row}`",
                "baseline" if judged is None else says(judged),
                f"**{score}**" if row == best else score,
                *("" if gain is None else interval(gain.interval) for gain in gains),
                learns_from(content, row),
            ]
        )
    over = [f"over `{name}` [95 %]" for name in (BASELINE, MORE)]
    return without_empty(
        Table(["row", "verdict", f"{split} {NAMES[metric]}", *over, "pairs in a batch"], lines, 2)
    )


def labels_table(content: Content) -> list[Block]:
    """Return what every row with synthetic pairs is worth in labels; nothing without a curve."""
    worth = content.worth.get(content.head)
    if not worth or not worth.rows:
        return []
    rows = [
        [f"`{found.row}`", str(found.used), labels_needed(found), times_as_many(found)]
        for found in worth.rows
    ]
    header = ["row", "real pairs used", "real pairs alone need [95 %]", "times as many [95 %]"]
    return [Table(header, rows)]


def learns_from(content: Content, row: str) -> str:
    """Return what is in a batch of a row, for example `4 real + 4 palette, advent`."""
    about, made = content.about(row), content.used["rows"][row] or {}
    sets = " and ".join(f"`{name}`" for name in made.get("with", []))
    of = f" (of {content.roles.num_real[row]})" if made.get("pairs") else ""
    parts = [f"{about['real']} real{of}"] if about.get("real") else []
    parts += [f"{about['synthetic']} {sets}"] if sets and about.get("synthetic") else []
    further = ["labels shuffled"] if made.get("control") == "shuffled_labels" else []
    further += ["separate passes"] if made.get("mix") == "separate" else []
    further += [made["adapt"]] if made.get("adapt", "none") != "none" else []
    augment = made.get("augment", [])
    further += [augment] if isinstance(augment, str) else augment
    sampling = made.get("sampling", "uniform")
    further += [f"{sampling.replace('_', ' ')} more often"] if sampling != "uniform" else []
    further += ["trusted pixels"] if made.get("trust") else []
    further += [f"real alone after {made['until']:.0%}"] if made.get("until", 1) < 1 else []
    return ", ".join([" + ".join(parts), *further])


def other_scores(content: Content, shown: Mapping[str, Figure]) -> Fold:
    """Return the tables of the other split and of mIoU*."""
    blocks: list[Block] = [
        Text("mIoU\\* is the mean over all classes with void-like ones, absent ones counting 0.")
    ]
    for split in reversed(list(content.measured)):
        if split != content.head:
            blocks += _figure(shown, f"gains_{split}.png")
        for metric in (MIOU, MIOU_STAR):
            if (split, metric) != (content.head, MIOU):
                blocks.append(gains_table(content, split, metric))
    return Fold("Every split and score", blocks)


def classes(content: Content, shown: Mapping[str, Figure]) -> Fold:
    """Return the classes whose gains exclude zero; all others fold once more."""
    measured, rare = content.measured[content.head], content.params.rare_percent
    ordered = sorted(content.classes, key=lambda entry: -entry["fraction"])
    clear = [
        entry
        for entry in ordered
        if any(gain.says != "no evidence" for gain in _class_gains(content, entry["name"]) if gain)
    ]
    absent = [
        entry["name"]
        for entry in ordered
        if entry["eval"] and not any(_class_gains(content, entry["name"]))
    ]
    note = (
        f"IoU in percent, gains over `{measured.better}` in points on {content.head}. Rare: below "
        f"{rare:g} % of the real training pixels. Bold: the 95 % interval excludes zero."
    )
    without = f"Without ground truth, so not in mIoU: {', '.join(absent)}." if absent else ""
    return Fold(
        "Which classes gain?",
        [
            *bullets(class_verdict(content)),
            *text(note, without if content.rows else ""),
            *([_class_table(content, clear)] if clear else []),
            Fold(
                "All classes",
                [
                    *([_class_table(content, ordered)] if clear != ordered else []),
                    *_figure(shown, "classes.png"),
                ],
            ),
        ],
    )


def _class_gains(content: Content, name: str) -> list[Gain | None]:
    return [content.gains.of(row, content.head, BOTH, IOU, name) for row in content.rows]


def _class_table(content: Content, entries: Sequence[dict]) -> Table:
    measured, lines = content.measured[content.head], []
    names = list(measured.split.pairs.classes.names)
    levels_of = measured.values(measured.better).mean(axis=0)[2:]
    for entry in entries:
        marks = " (rare)" if entry["fraction"] < content.params.rare_percent else ""
        marks += "" if entry["eval"] else " (not in mIoU)"
        level = levels_of[names.index(entry["name"])]
        if level != level:
            continue  # without ground truth
        lines.append(
            [
                entry["name"] + marks,
                percent(entry["fraction"]),
                f"{entry['images']:.0f}",
                f"{level:.1f}",
                *map(_class_gain, _class_gains(content, entry["name"])),
            ]
        )
    header = ["class", "of pixels, %", "in images, %", f"`{measured.better}` IoU"]
    return without_empty(Table([*header, *(f"`{row}`" for row in content.rows)], lines))


def _class_gain(gain: Gain | None) -> str:
    if gain is None:
        return ""
    said = signed(gain.interval.mean)
    return said if gain.says == "no evidence" else f"**{said}**"


def percent(value: float) -> str:
    """Return a percentage so that the rarest class keeps two digits."""
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2g}"


def training(
    content: Content, shown: Mapping[str, Figure], rises: Mapping[str, float | None]
) -> Fold:
    """Return how long the segmenters trained and what they saw."""
    known = {row: rise for row, rise in rises.items() if rise is not None}
    said = ", ".join(f"`{row}` {rise:+.1f}" for row, rise in known.items())
    flat = ""
    if BASELINE in known:
        flat = (
            "The baseline is flat (less than half a point)."
            if abs(known[BASELINE]) < FLAT
            else "The baseline is **not flat**: before it is, synthetic pairs mostly displace real "
            "ones, and the table says little about a longer training."
        )
    rise = f"Mean mIoU of the last quarter of training minus that of the quarter before: {said}."
    return Fold(
        "Was the segmenter trained long enough?",
        [
            *_figure(shown, "val_curves.png"),
            *text(rise if known else "", flat),
            *text(_unequal(content), _repeats(content)),
            _seen(content),
        ],
    )


def _seen(content: Content) -> Table:
    """Return what the segmenters of each row were shown."""
    lines = []
    for row in content.cells:
        about = content.about(row)
        repeats, ratio = about.get("repeats"), about.get("real_ratio")
        lines.append(
            [
                f"`{row}`",
                str(about["iterations"]),
                str(about.get("real", "")),
                str(about.get("synthetic", "")),
                "" if ratio is None else f"{100 * ratio:.0f}",
                "" if not repeats else f"{repeats:.2g}",
            ]
        )
    header = ["row", "iterations", "real in a batch", "synthetic in a batch", "real, %"]
    return without_empty(Table([*header, "times each synthetic pair was shown"], lines))


def _repeats(content: Content) -> str:
    often = [row for row in content.cells if (content.about(row).get("repeats") or 0) > 1]
    if not often:
        return ""
    names = ", ".join(f"`{row}`" for row in often)
    return (
        f"Synthetic pairs were shown more than once in {names}: unlimited pairs are the one "
        "advantage of a generator, so raise `num_pairs` of the sets."
    )


def _unequal(content: Content) -> str:
    """Say which rows do not see as many pairs as the baseline of equal compute."""
    if not content.equal_compute:
        return ""

    def batch(row: str) -> int:
        return content.about(row).get("real", 0) + content.about(row).get("synthetic", 0)

    other = [f"`{row}`" for row in content.rows if batch(row) != batch(MORE)]
    if not other:
        return ""
    return (
        f"Not of equal compute with `{MORE}` ({batch(MORE)} pairs in a batch): {', '.join(other)}."
    )
