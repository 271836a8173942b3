"""Draw every figure of a report and say what each one shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.shards import PairSet
from evaluate import collect
from evaluate.content import Content, curves
from evaluate.metrics.kl import targets_and_palettes
from evaluate.page import gallery, plots
from evaluate.page.blocks import Figure
from evaluate.page.results import by_gain, percent
from evaluate.page.style import colors
from evaluate.verdicts.gains import BOTH, IOU

Json = dict[str, Any]

KINDS = {"layouts": "layout method", "painters": "painter"}
FIRST_SETS = 3  # shown on the first screen below real pairs


def draw_all(content: Content, artifacts: Path, folder: Path) -> list[Figure]:
    """Draw the figures of a report into an empty folder, in its order."""
    return [
        *draw_gains(content, folder),
        *draw_labels(content, folder),
        *draw_classes(content, folder),
        *draw_curves(content, folder),
        *draw_pairs(content, folder),
        *draw_closest(content, folder),
        *draw_palettes(content, folder, collect.read_choice(artifacts / "palette")),
        *draw_training(folder, collect.read_curves(artifacts, content.sets)),
    ]


def draw_gains(content: Content, folder: Path) -> list[Figure]:
    """Draw the forest plot of every split, the one that the verdict rests on first."""
    caption = (
        "Gains over the better baseline with 95 % intervals, and those of single seeds (pale). "
        "Grey is no evidence: the interval holds zero, or there is none, or it is one of so many "
        "that it says nothing (Holm)."
    )
    drawn = []
    for split in reversed(list(content.measured)):
        measured, bars = content.measured[split], []
        checks = (*content.roles.controls, *content.roles.oracles)
        for row in by_gain(content, split, [*content.rows, *checks]):
            gain = content.gains.of(row, split)
            if gain is not None:
                base = measured.values(gain.baseline)[: len(measured.seeds[row]), 0]
                differences = measured.values(row)[:, 0] - base
                bars.append(plots.Bar(row, gain.interval, differences.tolist(), gain.says))
        if bars:
            file, title = f"gains_{split}.png", f"gain in mIoU on {split} over {measured.better}"
            plots.gains(folder / file, bars, f"{title}, points")
            drawn.append(Figure("gains", file, caption))
    return drawn


def draw_labels(content: Content, folder: Path) -> list[Figure]:
    """Draw the learning curve of real pairs alone, and where rows with synthetic pairs meet it."""
    worth = content.worth.get(content.head)
    if not worth:
        return []
    shade = colors(list(content.cells))
    marks = [
        plots.Mark(row.row, row.used, content.spread(row.row, content.head), row.labels.value)
        for row in worth.rows
        if row.row in content.rows
    ]
    curve = [(point.pairs, point.miou) for point in worth.curve]
    title = f"mIoU on {content.head} by number of real pairs, %"
    plots.learning_curve(folder / "labels.png", curve, marks, shade, title)
    named = ", ".join(f"`{point.row}`" for point in worth.curve)
    caption = (
        f"Real pairs alone, the best row for each number of them ({named}), with the deviation "
        "over seeds; rows with synthetic pairs stand at the number of real pairs that they used, "
        "and a line leads to the number at which real pairs alone reach them."
    )
    return [Figure("labels", "labels.png", caption)]


def draw_classes(content: Content, folder: Path) -> list[Figure]:
    """Draw the gain of every class that is scored, most frequent class on top."""
    ordered = sorted(content.classes, key=lambda entry: -entry["fraction"])
    found = {
        row: {
            entry["name"]: gain.interval
            for entry in ordered
            if (gain := content.gains.of(row, content.head, BOTH, IOU, entry["name"]))
        }
        for row in content.rows
    }
    known = set.intersection(*(set(gains) for gains in found.values())) if found else set()
    labels = {
        entry["name"]: f"{entry['name']}  {percent(entry['fraction'])} %"
        for entry in ordered
        if entry["name"] in known
    }
    if not labels:
        return []
    title = f"gain in IoU on {content.head}, points; class and % of pixels"
    plots.class_gains(folder / "classes.png", found, labels, colors(list(content.cells)), title)
    caption = (
        f"Gain in IoU over `{content.measured[content.head].better}`, most frequent class on top; "
        "thin lines are 95 % intervals, the widest cut off at the frame."
    )
    return [Figure("classes", "classes.png", caption)]


def draw_curves(content: Content, folder: Path) -> list[Figure]:
    """Draw mIoU on val while the segmenters trained."""
    found = curves(content)
    if not all(len(iterations) for iterations, _ in found.values()):
        return []
    plots.val_curves(folder / "val_curves.png", found)
    caption = (
        "mIoU on val while the segmenters train: mean over seeds of each row, band from the lowest "
        "to the highest; the lowest scores of the beginning are cut off."
    )
    return [Figure("curves", "val_curves.png", caption)]


def draw_pairs(content: Content, folder: Path) -> list[Figure]:
    """Draw a sheet of the first screen, one of the real pairs and one of every set."""
    train, count = content.train, content.params.sheet_rows
    there = {name: pairs for name, pairs in content.sources.items() if len(pairs.select(name))}
    first = {name: there[name] for name in best_sets(content) if name in there}
    gallery.first_sheet(folder / "pairs.png", train, first)
    named = ", ".join(f"`{name}`" for name in first)
    below = f", below pairs of {named}" if first else ""
    drawn = [Figure("first", "pairs.png", f"Real training pairs{below}: not chosen.", pixels=True)]
    gallery.real_sheet(folder / "pairs_real.png", train, count)
    drawn.append(Figure("pairs", "pairs_real.png", "Real training pairs.", pixels=True))
    for name, pairs in there.items():
        file = f"pairs_{name}.png"
        gallery.synthetic_sheet(folder / file, pairs, train, name, count)
        caption = f"Pairs of `{name}`, evenly spaced over the set, not chosen."
        drawn.append(Figure("pairs", file, caption, pixels=True))
    return drawn


def best_sets(content: Content) -> list[str]:
    """Return the sets of the first screen: those of the rows with the highest gains."""
    rows = by_gain(content, content.head, content.rows)
    sets = [name for row in rows for name in (content.used["rows"][row] or {}).get("with", [])]
    return list(dict.fromkeys([*sets, *content.sets]))[:FIRST_SETS]


def draw_closest(content: Content, folder: Path) -> list[Figure]:
    """Draw the synthetic images that come nearest to a real training image, beside it."""
    drawn = []
    for name, scored in content.scored.items():
        if "feature_copies" not in scored["facts"]:
            continue
        file, closest = f"closest_{name}.png", scored["facts"]["feature_copies"]["closest"]
        gallery.closest_sheet(folder / file, content.sources[name], content.train, closest)
        caption = f"Images of `{name}` nearest to a real training image, which stands beside them."
        drawn.append(Figure("quality", file, caption, pixels=True))
    return drawn


def draw_palettes(
    content: Content, folder: Path, choice: tuple[str, Sequence[tuple[int, float]], int] | None
) -> list[Figure]:
    """Draw the choice of components, and real palettes beside those asked for and obtained."""
    drawn = []
    if choice:
        plots.components(folder / "components.png", *choice)
        caption = "The palette mixture by number of components, and the one that is used."
        drawn.append(Figure("palettes", "components.png", caption))
    for name, pairs in content.sources.items():
        found = _targets(pairs, name)
        if found is None:
            continue
        real, (target, obtained) = content.train.column("palette"), found
        ids = frequent_and_rare(real.mean(axis=0), content.params.palette_classes)
        fractions = {"real": real, "asked for": target, "obtained": obtained}
        plots.palettes(
            folder / "palettes.png",
            [content.train.classes.names[index] for index in ids],
            {label: values[:, ids] for label, values in fractions.items()},
        )
        caption = (
            "Class fractions of the real training labels, of the palettes that were asked for "
            f"(sampled from the mixture) and of the layouts of `{name}`: the most frequent and the "
            "rarest classes."
        )
        drawn.append(Figure("palettes", "palettes.png", caption))
        break
    return drawn


def _targets(pairs: PairSet, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    return targets_and_palettes(pairs, pairs.select(name).tolist())


def draw_training(folder: Path, curves: Mapping[tuple[str, str], list[Json]]) -> list[Figure]:
    """Draw the loss curves of generators; `curves` by (kind, method)."""
    drawn = []
    for (kind, method), curve in curves.items():
        if not curve:
            continue
        file = f"training_{kind}_{method}.png"
        plots.training(folder / file, curve)
        caption = f"Loss terms of the {KINDS[kind]} `{method}`: values and running mean."
        drawn.append(Figure("training", file, caption))
    return drawn


def frequent_and_rare(mean: np.ndarray, count: int) -> np.ndarray:
    """Return ids of the most frequent and the rarest classes of fractions `[C]`, largest first."""
    order = np.argsort(-mean, kind="stable")
    order = order[mean[order] > 0]
    if len(order) <= count:
        return order
    rare = count // 2
    return np.concatenate([order[: count - rare], order[len(order) - rare :]])
