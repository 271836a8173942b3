"""The report as one markdown page, for a reader who has not seen the project."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.config import BASELINE
from evaluate.page import beside, poster, tables
from evaluate.page.figures import Figure
from evaluate.page.numbers import head_split, with_cells
from evaluate.provenance import as_yaml
from evaluate.verdict import class_verdict, verdict

Json = dict[str, Any]
FLAT = 0.5  # points; a smaller late rise counts as flat


def page(
    report: Json, figures: Sequence[Figure], rises: Mapping[str, float | None], timings: list[Json]
) -> str:
    """Return the whole page; `rises` are the recipes' gains over the last quarter of training."""
    shown = {figure.file: figure for figure in figures}
    parts = [
        f"# Do synthetic pairs help? {_title(report)}",
        verdict(with_cells(report["recipes"]), report["dataset"]),
        *_augmentation(report, shown),
        *_classes(report, shown),
        *_curves(rises, shown),
        *_layouts(report),
        *_quality(report, shown),
        *beside.section(report),
        *_of_section("## Pairs", "pairs", shown),
        *_of_section("## Palettes", "palettes", shown),
        *_of_section("## Training of the generators", "training", shown),
        *_reading(report),
        *_provenance(report, timings),
    ]
    return "\n\n".join(parts) + "\n"


def image(figure: Figure) -> str:
    """Return the markdown of a figure: the image with its caption below, both found by file."""
    return f"![{figure.file}](figures/{figure.file})\n\n*{figure.caption}*"


def rerun(preset: str | None) -> str:
    """Return the command that makes the report again."""
    return "make repro" if preset is None else f"make repro PRESET={preset}"


def _title(report: Json) -> str:
    dataset = report["params"]["dataset"]
    size = f"{dataset['height']}x{dataset['width']}"
    return f"{report['dataset']} at {size}, {report['budget']['arch']}"


def _augmentation(report: Json, shown: Mapping[str, Figure]) -> list[str]:
    recipes, table = with_cells(report["recipes"]), poster.recipes_of(report["params"])
    n = recipes[BASELINE]["miou"]["n"]
    posters = () if poster.has_more_than_default(table) else poster.DATASETS
    over = "mean ± standard deviation over" if n > 1 else "from"
    return [
        "## Does it help?",
        f"Percent; {over} {n} segmenter seed{'s' if n > 1 else ''}; gains are paired by seed.",
        tables.augmentation(recipes, table, star=False, posters=posters),
        image(shown["augmentation.png"]),
        "The same for mIoU\\*, the mean over all classes with void-like ones, absent ones "
        "counting 0:",
        tables.augmentation(recipes, table, star=True, posters=posters),
        *([_posters_columns({name: table[name] for name in recipes})] if posters else []),
    ]


def _posters_columns(table: Mapping[str, Json]) -> str:
    """Say what the poster's columns are, and which of its rows the recipes stand for."""
    rows = {name: row for name in table if (row := poster.row_of(table[name]))}
    names = [f"`{name}` is the poster's {row.name}" for name, row in rows.items()]
    misprint = ""
    if any(row.misprinted for row in rows.values()):
        misprint = " (?): the poster repeats its baseline's score there."
    return f"Poster columns: {poster.CAPTION}.{misprint} {'; '.join(names)}."


def _classes(report: Json, shown: Mapping[str, Figure]) -> list[str]:
    absent = report["recipes"][BASELINE]
    absent = (absent["test"] if head_split(report["recipes"]) == "test" else absent)["absent"]
    rare = report["params"]["report"]["rare_percent"]
    parts = [
        "## Which classes gain?",
        class_verdict(with_cells(report["recipes"]), report["classes"]),
        f"IoU in percent, gains in points. Rare: below {rare:g} % of the real training pixels. "
        "Bold: the 95 % interval excludes zero.",
        tables.per_class(with_cells(report["recipes"]), report["classes"], rare),
    ]
    parts = list(filter(None, parts))  # one seed has no words
    if absent:
        parts.append(f"Without ground truth in this split, so not in mIoU: {', '.join(absent)}.")
    return parts + [image(shown[file]) for file in ("classes.png",) if file in shown]


def _curves(rises: Mapping[str, float | None], shown: Mapping[str, Figure]) -> list[str]:
    parts = ["## Was the segmenter trained long enough?"]
    parts += [image(shown[file]) for file in ("val_curves.png",) if file in shown]
    known = {name: rise for name, rise in rises.items() if rise is not None}
    if known:
        listed = ", ".join(f"`{name}` {rise:+.1f}" for name, rise in known.items())
        parts.append(
            f"Mean mIoU of the last quarter of training minus that of the quarter before: {listed}."
        )
    if BASELINE in known:
        flat = abs(known[BASELINE]) < FLAT
        parts.append(
            "The real-only baseline is flat (less than half a point)."
            if flat
            else "The real-only baseline is **not flat**: before it is, synthetic pairs mostly "
            "displace real ones, and the table says little about a longer training."
        )
    return parts


def _layouts(report: Json) -> list[str]:
    return [
        "## Do layouts keep to the palette that was asked for, and do they look real?",
        "KL in nats of the asked palette against the hard palette of the layout, mean over "
        "layouts; 0 is exact. *Of the argmax*: the generator's most probable classes, which is "
        "what it has learnt (the poster's figure). *Of the pairs*: after rounding; with "
        "`rounding: balanced` pixels are assigned so that classes fill their shares, so it is "
        "near 0 by construction. *Targets shuffled*: what pairs would score whose palettes are "
        "plausible but not the ones asked for. Empty for methods that are not asked for a whole "
        "image's palette.",
        "FSD is the Frechet distance between the class shares of these layouts and those of "
        f"{_held_out(report)}, in percent; lower is closer. The first row is what as many real "
        "layouts score: below it one is not better than real, only smoother or luckier.",
        tables.layouts(report["layouts"]),
    ]


def _quality(report: Json, shown: Mapping[str, Figure]) -> list[str]:
    judge, (height, width) = report["judge"], report["size"]
    return [
        "## How good are the synthetic pairs?",
        f"The judge is the segmenter of `{BASELINE}`, seed {judge['seed']} (weights "
        f"`{judge['sha256'][:12]}`); its features: {judge['features']}. Images are "
        f"{height}x{width}, evenly spaced over each set, equally many for every recipe.",
        tables.quality(report["recipes"], judge),
        "\n".join(f"* {line}" for line in _quality_in_words(report)),
        *_joints(report),
        *_of_section("### Nearest to a training image", "quality", shown),
    ]


def _joints(report: Json) -> list[str]:
    """Return what fine-tuning end to end did to the painters; nothing without a joint."""
    if not report["joints"]:
        return []
    return [
        "### Painters before and after they were tuned end to end",
        f"Both paint the layouts of {_held_out(report)}, from the same noise; the distance is to "
        "the images of those layouts (SB-GAN's Table 2). A joint shows the painter more images "
        "than its training alone did, so a better score is not the second critic's alone.",
        tables.joints(report["joints"], report["params"]["joints"]),
    ]


def _quality_in_words(report: Json) -> list[str]:
    found, rank = report["recipes"][BASELINE]["frechet"], ""
    if found is not None:
        rank = (
            f" The {found['num_features']} features of the {found['num_held_out']} val images "
            f"vary in about {found['effective_rank']:.0f} directions."
        )
    return [
        "**GAN-test**, or obedience: the judge labels the painted images, their layouts are the "
        "ground truth. `real` are pairs it was trained on, and recipes that start from real "
        "layouts repaint those it has seen: compare them with that row, and `palette`, whose "
        "layouts are new, with val. High means that images look like what their layouts say, not "
        "that they teach something. By class: `obedience` in report.json.",
        "**GAN-train**: val mIoU of a segmenter that saw synthetic pairs alone, for as many "
        "iterations; to be compared with the judge's on real val pairs. Empty for recipes that "
        "`report.gan_train` does not name.",
        "**Frechet**: distance between the judge's features of these images and of "
        f"{_held_out(report)}; lower is closer. It is not FID, and no number of another report "
        "compares with it. So few images put it above 0 even for two real sets: row `real` shows "
        f"by how much.{rank}",
        fid_in_words(report["recipes"]),
        "**Diversity**: mean distance of two images painted from one layout with other noise, in "
        "percent of that of two real images; 0 is a painter without noise.",
        "**Copies**: percentage of images nearer to a real training image (their own parent left "
        "out) than 99 of 100 real val images are, in the judge's features. About 1 is no sign of "
        "copying; recipes that start from real layouts may have more where training images "
        "resemble each other.",
    ]


def fid_in_words(recipes: Mapping[str, Json]) -> str:
    """Say what the FID of recipes is, or why there is none."""
    found = next((numbers["fid"] for numbers in recipes.values() if numbers["fid"]), None)
    if found is None:
        return (
            "**FID** is not computed: `report.fid_weights` names no file with the weights of the "
            "Inception network that defines it (extra `[fid]`)."
        )
    return (
        f"**FID**: the same distance on {found['num_features']} features of {found['features']} "
        f"(sha256 {found['sha256'][:8]}), {found['num_pairs']} images against "
        f"{found['num_held_out']}, enlarged to 299x299. It compares with that of other reports "
        "only at equal counts and sizes; Semantic Palette's code feeds another network images "
        "outside its range, so the poster's FID is not this one."
    )


def _held_out(report: Json) -> str:
    found = report["recipes"][BASELINE]["frechet"]
    return "real val images" if found is None else f"the {found['num_held_out']} real val images"


def _of_section(heading: str, section: str, shown: Mapping[str, Figure]) -> list[str]:
    images = [image(figure) for figure in shown.values() if figure.section == section]
    return [heading, *images] if images else []


def _reading(report: Json) -> list[str]:
    n = report["recipes"][BASELINE]["miou"]["n"]
    head, budget = head_split(report["recipes"]), report["budget"]
    count = len(with_cells(report["recipes"])) - 1
    advice = [
        f"The verdict rests on {head}"
        + (
            ", which nothing was chosen on; val was looked at while developing."
            if head == "test"
            else "; there is no test split, and val was looked at while developing."
        ),
        f"Every recipe trains its segmenter ({budget['arch']}) for the same {budget['iterations']} "
        f"iterations of {budget['batch_size']} pairs, the real-only baseline included: gains are "
        "not longer training.",
        "Intervals are those of a paired t over seeds. They cover the segmenter's seed and the "
        "slice of pairs that a seed reads (a painter without noise makes one image of a layout, so "
        "slices of `semi` differ in their parents at most); a retrained generator, or other real "
        "images, may give another answer.",
        f"{count} recipe{'s are' if count > 1 else ' is'} compared with the baseline. Each "
        "interval misses the truth once in 20 times, so a single narrow win among many is weak.",
    ]
    if n < 5:
        advice.append(
            f"With n = {n} intervals are wide. A claim about less than one point needs five or "
            "more paired seeds: add to `report.seeds` (finished cells are kept as long as "
            "`segment.num_slices` has a slice for every seed)."
        )
    advice.append(
        "If a recipe does not help: look first at its pairs above, then at GAN-test (a painter "
        "that does not obey teaches wrong labels), then at the share of real pairs in a batch."
    )
    return ["## How to read this", "\n".join(f"* {line}" for line in advice)]


def _provenance(report: Json, timings: list[Json]) -> list[str]:
    parts = [
        "## How it was made",
        f"Revision `{report['revision']}`, dataset `{report['dataset']}`, preset "
        f"`{report['preset'] or 'none'}`. To run it again (a key that differs below is set by "
        "`dvc exp run -S KEY=VALUE`; a revision that ends in `-dirty` had edits that were not "
        "committed):",
        f"```sh\ngit checkout {report['revision'].removesuffix('-dirty')}\n"
        f"{rerun(report['preset'])}\n```"
        if report["revision"] != "unknown"
        else f"```sh\n{rerun(report['preset'])}\n```",
    ]
    if timings:
        parts += [
            "### Wall time and images shown",
            "Last run of every stage on the machine that wrote this report; stages whose results "
            "came from a cache have none.",
            tables.wall_time(timings),
        ]
    listed = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return [
        *parts,
        "### Versions",
        listed,
        "### Parameters",
        "Those that this report depends on.",
        f"```yaml\n{as_yaml(report['params'])}```",
    ]
