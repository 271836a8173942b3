"""Sections on the synthetic pairs themselves: metrics, painters of joints, GAN-train."""

from collections.abc import Mapping
from typing import Any

from evaluate.config import BASELINE
from evaluate.content import KL_ARGMAX, Content
from evaluate.metrics import METRICS
from evaluate.page.blocks import Block, Figure, Fold, Table, Text, bullets, text, without_empty
from evaluate.page.results import learns_from
from evaluate.scores import REAL_PAIRS, pick
from evaluate.verdicts.gains import MIOU, MIOU_STAR
from evaluate.verdicts.verdict import listed, mean_std

Json = dict[str, Any]


def quality(content: Content, shown: Mapping[str, Figure]) -> Fold:
    """Return every metric of every set, what the metrics mean, and the nearest training images."""
    table = metric_table(content)
    there = [metric for metric in METRICS.values() if metric.header in table.header]
    closest = [figure for figure in shown.values() if figure.section == "quality"]
    return Fold(
        "How good are the synthetic pairs?",
        [
            Text(_judge_in_words(content)),
            table,
            *bullets([f"**{m.header}** ({m.better} is better): {m.in_words}" for m in there]),
            *text(_kept(content), _absent(content)),
            *_without_real(content),
            *_joints(content),
            *([Fold("Nearest to a training image", closest)] if closest else []),
        ],
    )


def metric_table(content: Content) -> Table:
    """Return the metrics of all sets, and first what as many real pairs score."""
    columns = [(metric.name, metric.header, metric.digits) for metric in METRICS.values()]
    columns.append((KL_ARGMAX, "KL of the argmax", METRICS["kl"].digits))
    rows = [
        [
            name if name == REAL_PAIRS else f"`{name}`",
            "" if name == REAL_PAIRS else made_of(content.sets[name]),
            *(number(pick(content.means, name, metric), digits) for metric, _, digits in columns),
        ]
        for name in (REAL_PAIRS, *content.sets)
    ]
    header = ["set", "layouts → painter", *(header for _, header, _ in columns)]
    return without_empty(Table(header, rows, 2))


KEPT = {
    True: ", real pixels kept",
    "donors": ", pixels of moved objects kept",
    "objects": ", pixels of objects kept",
}


def made_of(made: Mapping[str, Any]) -> str:
    """Return what a set is made of, for example `semantic_palette → spade, real pixels kept`."""
    kept = KEPT.get(made.get("keep", False), "")
    bent = "".join(f", {key}" for key in ("controls", "edits") if made.get(key))
    return f"{made['layouts']} → {made['painter']}{kept}{bent}"


def number(value: float | None, digits: int) -> str:
    """Return a number as text, nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def _judge_in_words(content: Content) -> str:
    judge, (height, width) = content.judge, content.train.size
    return (
        f"The judge is the segmenter of `{BASELINE}`, seed {judge['seed']} (weights "
        f"`{judge['sha256'][:12]}`). {_features_in_words(judge)} Of every set "
        f"{content.params.num_scored} images of {height}x{width} are looked at, evenly spaced. "
        f"*{REAL_PAIRS}* is the yardstick: what as many real training pairs score."
    )


def _features_in_words(judge: Json) -> str:
    features = judge["features"]
    if features is None:
        return (
            "There are no pretrained features (`report.pretrained`), so no Frechet distance, "
            "diversity or copies."
        )
    rank = features["effective_rank"]
    vary = "" if rank is None else f", which vary in about {max(rank, 1):.1f} directions,"
    return (
        f"Images are compared in the {features['number']} features of a pretrained network "
        f"({features['named']}){vary} with the {judge['num_val']} real val images."
    )


def _kept(content: Content) -> str:
    kept = [f"`{name}`" for name, made in content.sets.items() if made.get("keep")]
    if not kept:
        return ""
    return (
        f"Images of {', '.join(kept)} keep real pixels outside their edits, or those of objects, "
        "which flatters every number that looks at images."
    )


def _absent(content: Content) -> str:
    sets: dict[str, list[str]] = {}
    for name, scored in content.scored.items():
        absent = ", ".join(scored["facts"].get("alignment", {}).get("absent", []))
        if absent:
            sets.setdefault(absent, []).append(f"`{name}`")
    said = [f"of {listed(names)}: {absent}" for absent, names in sets.items()]
    return f"Not in the alignment, because no layout has them, {'; '.join(said)}." if said else ""


def _without_real(content: Content) -> list[Block]:
    """Return what segmenters learn from synthetic pairs alone (GAN-train)."""
    if not content.alone:
        return []
    rows = [
        [
            f"`{row}`",
            learns_from(content, row),
            *(
                mean_std(content.spread(row, split, metric))
                for split in content.measured
                for metric in (MIOU, MIOU_STAR)
            ),
        ]
        for row in (BASELINE, *content.alone)
    ]
    header = [f"{split} {name}" for split in content.measured for name in ("mIoU", "mIoU\\*")]
    return [
        Text("Segmenters that saw no real pair (GAN-train), scored on real ones:"),
        Table(["row", "pairs in a batch", *header], rows, 2),
    ]


def _joints(content: Content) -> list[Block]:
    """Return what fine-tuning end to end did to the painters; nothing without a joint."""
    if not content.joints:
        return []
    rows = []
    for name in content.joints:
        made = content.used["joints"][name]
        cells = [f"`{name}`", f"{made['layouts']} → {made['painter']}"]
        for key in ("feature_frechet", "alignment"):
            for when in ("before", "after"):
                value = pick(content.means, f"{name}, {when}", key)
                cells.append(number(value, METRICS[key].digits))
        rows.append(cells)
    headers = [
        f"{METRICS[key].header} {when}"
        for key in ("feature_frechet", "alignment")
        for when in ("before", "after")
    ]
    return [
        Text(
            "Painters before and after they were tuned end to end: both paint the layouts of the "
            "real val images from the same noise; the distance is to those images (SB-GAN's Table "
            "2). A joint shows the painter more images than its training alone did, so a better "
            "score is not the second critic's alone."
        ),
        without_empty(Table(["joint", "layouts → painter", *headers], rows, 2)),
    ]
