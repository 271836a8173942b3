"""The report's tables as markdown; every function returns text and reads plain numbers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.config import BASELINE
from evaluate.page import poster
from evaluate.page.numbers import head_split, of_split
from evaluate.statistics import HELPS, HURTS, judgement
from evaluate.verdict import interval, signed

Json = dict[str, Any]
NOTHING = "–"  # noqa: RUF001 (an en dash in an empty cell is meant)

SEED = re.compile(r"-\d+$")  # ends the stage names of cells, for example segment@real-0


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], num_text: int = 1) -> str:
    """Return a markdown table; the first `num_text` columns are text, the others are numbers."""
    rule = ["---"] * num_text + ["---:"] * (len(header) - num_text)
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def augmentation(
    recipes: Mapping[str, Json],
    table: Mapping[str, Json],
    star: bool,
    posters: Sequence[str] = poster.DATASETS,
) -> str:
    """Return the augmentation table for mIoU or mIoU*, with the poster's numbers beside it.

    `table` has the recipes as `poster.recipes_of` gives them; `posters` are the datasets that
    the poster's numbers are shown for.
    """
    score, delta = ("miou_star", "delta_star") if star else ("miou", "delta")
    label = "mIoU\\*" if star else "mIoU"
    splits = ["val", "test"] if head_split(recipes) == "test" else ["val"]
    header = ["recipe", "layouts → painter"]
    for split in splits:
        header += [f"{split} {label}", f"{split} gain [95 %]"]
    header += ["obedience", *(f"poster: {name}" for name in posters)]
    rows = []
    for name, numbers in recipes.items():
        row = [f"`{name}`", made_of(table[name])]
        for split in splits:
            found = of_split(numbers, split)
            row += [mean_std(found[score]), gain(found[delta])]
        obeyed = numbers["obedience"]
        row.append(number(obeyed[score]) if obeyed else NOTHING)
        like = poster.row_of(table[name])
        row += [poster.entry(like, dataset, star) or NOTHING for dataset in posters]
        rows.append(row)
    return markdown(header, rows, num_text=2)


def per_class(recipes: Mapping[str, Json], classes: Sequence[Json], rare_percent: float) -> str:
    """Return IoU of `real` and the gain of every other recipe by class, largest share first.

    `classes` are {name, eval, share, images} with shares of the real training pixels and of the
    images that show the class, both in percent.
    """
    split = head_split(recipes)
    others = [name for name in recipes if name != BASELINE]
    base = of_split(recipes[BASELINE], split)
    rows = []
    for entry in sorted(classes, key=lambda entry: -entry["share"]):
        name = entry["name"]
        marks = " (rare)" if entry["share"] < rare_percent else ""
        marks += "" if entry["eval"] else " (not in mIoU)"
        gains = [of_split(recipes[other], split)["iou_delta"][name] for other in others]
        rows.append(
            [
                name + marks,
                share_text(entry["share"]),
                f"{entry['images']:.0f}",
                number(base["iou"][name]),
                *map(_class_gain, gains),
            ]
        )
    header = ["class", "share of pixels, %", "in images, %", f"`{BASELINE}` {split} IoU"]
    return markdown([*header, *(f"gain of `{name}`" for name in others)], rows)


def layouts(found: Mapping[str, Json]) -> str:
    """Return KL (asked against obtained palettes) and FSD (obtained against real val palettes)."""
    rows = [
        [
            f"`{method}`" + (" (real training layouts)" if method == "none" else ""),
            f"`{entry['recipe']}`",
            number(entry["kl_argmax"], 3),
            number(entry["kl"], 3),
            number(entry["kl_shuffled"], 3),
            _count(entry["num_pairs"]),
            number(entry["fsd"]),
            _count(entry["num_layouts"]),
        ]
        for method, entry in found.items()
    ]
    header = ["layout method", "drawn for", "KL of the argmax", "KL of the pairs"]
    return markdown([*header, "targets shuffled", "layouts", "FSD", "layouts"], rows, num_text=2)


def quality(recipes: Mapping[str, Json], judge: Json) -> str:
    """Return how good the pairs of every recipe are; first the judge's score on real val pairs.

    There is a column for FID where a recipe has one.
    """
    with_fid = any(numbers["fid"] for numbers in recipes.values())
    rows = [["real val pairs", number(judge["miou"]), number(judge["miou_star"])]]
    rows[0] += [NOTHING] * (4 + with_fid) + ["all", ""]
    for name, numbers in recipes.items():
        obeyed, alone = numbers["obedience"], numbers["gan_train"]
        frechet, many, copied = numbers["frechet"], numbers["diversity"], numbers["copies"]
        rows.append(
            [
                f"`{name}`" + (", which the judge was trained on" if name == BASELINE else ""),
                number(obeyed["miou"]),
                number(obeyed["miou_star"]),
                number(alone and alone["miou"]),
                number(frechet and frechet["value"], 2),
                *([number(numbers["fid"] and numbers["fid"]["value"])] if with_fid else []),
                number(many and many["percent"]),
                number(copied and copied["share"]),
                str(obeyed["num_pairs"]),
                ", ".join(obeyed["absent"]) or "none",
            ]
        )
    header = ["images", "GAN-test mIoU", "GAN-test mIoU\\*", "GAN-train mIoU", "Frechet"]
    header += ["FID"] * with_fid + ["diversity, %", "copies, %", "pairs", "absent eval classes"]
    return markdown(header, rows)


def joints(found: Mapping[str, Json], trained: Mapping[str, Json]) -> str:
    """Return what each joint's painter scores on real held-out layouts, before and after."""
    rows = []
    for name, scores in found.items():
        cells = [f"`{name}`", f"{trained[name]['layouts']} → {trained[name]['painter']}"]
        both = [scores[when] for when in ("before", "after")]
        cells += [number(one["frechet"] and one["frechet"]["value"], 2) for one in both]
        cells += [number(one["obedience"]["miou"]) for one in both]
        rows.append(cells)
    header = ["joint", "layouts → painter", "Frechet before", "Frechet after"]
    return markdown([*header, "GAN-test mIoU before", "GAN-test mIoU after"], rows, num_text=2)


def wall_time(timings: Sequence[Json]) -> str:
    """Return wall time and images per stage; the seeds of a recipe's cells are added up."""
    families: dict[str, list[Json]] = {}
    for entry in timings:
        families.setdefault(SEED.sub("", entry["stage"]), []).append(entry)
    rows = []
    for stage, entries in families.items():
        seconds = sum(entry["seconds"] for entry in entries)
        images = sum(entry["images"] or 0 for entry in entries)
        runs = "" if len(entries) == 1 else f" ({len(entries)} runs)"
        rate = f"{images / seconds:.1f}" if images and seconds else NOTHING
        rows.append([stage + runs, _duration(seconds), str(images or NOTHING), rate])
    total = sum(entry["seconds"] for entry in timings)
    rows.append(["**sum**", f"**{_duration(total)}**", "", ""])
    return markdown(["stage", "wall time", "images", "images/s"], rows)


def share_text(percent: float) -> str:
    """Return a share so that the rarest class keeps two digits."""
    return f"{percent:.1f}" if percent >= 1 or percent == 0 else f"{percent:.2g}"


def made_of(recipe: Mapping[str, Any]) -> str:
    """Return what a recipe is made of, for example `semantic_palette → spade, advent`."""
    further = [recipe["adapt"]] if recipe["adapt"] != "none" else []
    further += ["end to end"] if recipe["end_to_end"] else []
    return ", ".join([f"{recipe['layouts']} → {recipe['painter']}", *further])


def mean_std(summary: Json) -> str:
    """Return mean and standard deviation as text; the mean alone for one seed."""
    if summary["std"] is None:
        return f"{summary['mean']:.1f}"
    return f"{summary['mean']:.1f} ± {summary['std']:.1f}"


def gain(delta: Json | None) -> str:
    """Return a difference with its interval as text, a dash for none."""
    return NOTHING if delta is None else interval(delta)


def number(value: float | None, digits: int = 1) -> str:
    """Return a number as text, a dash for None."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def _class_gain(delta: Json | None) -> str:
    if delta is None:
        return NOTHING
    text = signed(delta["mean"])
    return f"**{text}**" if judgement(delta) in (HELPS, HURTS) else text


def _count(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {seconds % 60:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min"
