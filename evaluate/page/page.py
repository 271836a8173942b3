"""The report in order: the first screen, what folds below it, and how it was made."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.config import BASELINE
from evaluate.content import Content
from evaluate.page import results
from evaluate.page.beside import beside
from evaluate.page.blocks import Block, Figure, Fold, Section, Table, Text, bullets, text
from evaluate.page.provenance import as_yaml, preset, versions
from evaluate.page.quality import quality
from evaluate.verdicts.verdict import seeds_in_words

Json = dict[str, Any]
SEED = re.compile(r"-\d+$")  # ends the stage names of cells, for example segment@real-0


def title(content: Content) -> str:
    """Return the heading of the page."""
    height, width = content.train.size
    arch = content.about(BASELINE)["arch"]
    return f"Do synthetic pairs help? {content.dataset} at {height}x{width}, {arch}"


def sections(
    content: Content,
    figures: Sequence[Figure],
    rises: Mapping[str, float | None],
    timings: Sequence[Json],
    computed: Sequence[str],
) -> list[Section]:
    """Return the whole report; `computed` says with which precision methods were trained."""
    shown = {figure.file: figure for figure in figures}

    def of_section(heading: str, section: str) -> list[Block]:
        found = [figure for figure in figures if figure.section == section]
        return [Fold(heading, found)] if found else []

    folds: list[Block] = [
        results.other_scores(content, shown),
        *([results.classes(content, shown)] if content.rows else []),
        results.training(content, shown, rises),
        *([quality(content, shown)] if content.sets else []),
        *beside(content),
        *of_section("Pairs of every set", "pairs"),
        *of_section("Palettes", "palettes"),
        *of_section("Training of the generators", "training"),
        Fold("How to read this", reading(content)),
    ]
    return [
        results.first_screen(content, shown),
        Section("More", folds),
        Section("How it was made", _provenance(content, timings, computed)),
    ]


def rerun(name: str | None) -> str:
    """Return the command that makes the report again."""
    return "make repro" if name is None else f"make repro PRESET={name}"


def reading(content: Content) -> list[Block]:
    """Return what the numbers rest on."""
    measured, about = content.measured[content.head], content.about(BASELINE)
    n, compared = len(content.params.seeds), _num_compared(content)
    chosen = (
        ", on which this run chose nothing; val was looked at while developing"
        if content.head == "test"
        else ": there is no test split, and val was looked at while developing"
    )
    number = len(measured.split.groups)
    units = (
        f"the {number} groups (videos, cities or scenes) that the dataset names"
        if measured.split.named
        else f"{number} blocks of neighbouring images, because the dataset names no videos"
    )
    return bullets(
        [
            f"The verdict rests on {content.head}{chosen}.",
            _baselines(content),
            f"Every row trains its segmenter ({about['arch']}) for {about['iterations']} "
            "iterations; gains are paired by seed.",
            "A 95 % interval spans both the paired t interval over seeds and a hierarchical "
            f"bootstrap over seeds and {units}: the bootstrap alone is too narrow for few seeds, "
            "the t interval does not know that other images may give another answer. Rows with one "
            "seed have none.",
            f"{compared} row{'s have' if compared != 1 else ' has'} an interval. A verdict needs "
            "one without zero and a p value below 0.05 after Holm's correction for their "
            "number; intervals are those of single rows.",
            "All of it is conditional on one trained generator per method: deviations hold the "
            "segmenter's seed and the slice of pairs that it reads, not the generators' training.",
            _labels(content),
            _few_seeds(n),
            "If a row does not help, look first at its pairs, then at alignment (a painter that "
            "does not show what its labels say teaches wrong ones), then at the real pairs in a "
            "batch.",
        ]
    )


def _num_compared(content: Content) -> int:
    """Return how many rows with synthetic pairs have more than one seed, so that they compete."""
    return sum(len(content.cells[row]) > 1 for row in content.rows)


def _baselines(content: Content) -> str:
    """Say what rows are compared with."""
    count, better = len(content.roles.baselines), content.measured[content.head].better
    if not content.equal_compute:
        return (
            "There is no row `real_more`: what rows gain over `real` may be what more pairs in a "
            "batch would have gained too."
        )
    against = f"*Helps* is said only against the better of the two on {content.head}"
    if count > 2:
        against = (
            f"{count - 2} more learn from the same real pairs alone, and *helps* is said only "
            f"against the best of all {count} on {content.head}"
        )
    return (
        "Two baselines: `real` sees as many real pairs as the other rows (the published reading), "
        f"`real_more` as many pairs (equal compute). {against}, here `{better}`."
    )


def _labels(content: Content) -> str:
    if content.head not in content.worth:
        return ""
    return (
        "Worth in labels: the learning curve is the best row of real pairs alone for each number "
        "of them, linear in the logarithm of the number, and never falls; what lies beyond its "
        "ends is bounded by them (≤, ≥). Intervals are a bootstrap over seeds and groups, of curve "
        "and row together, the seeds' part stretched to the t interval. What a row used are the "
        "real pairs that its generators and its segmenter saw."
    )


def _few_seeds(n: int) -> str:
    if n >= 5:
        return ""
    return (
        f"With {seeds_in_words(n)} intervals are wide or missing; a claim about less than one "
        "point needs five or more. Add to `report.seeds`: finished cells are kept as long as "
        "`segment.num_slices` has a slice for every seed."
    )


def _provenance(content: Content, timings: Sequence[Json], computed: Sequence[str]) -> list[Block]:
    name, revision = preset(), content.revision
    checkout = "" if revision == "unknown" else f"git checkout {revision.removesuffix('-dirty')}\n"
    dirty = " (`-dirty`: with edits that were not committed)" if revision.endswith("-dirty") else ""
    listed = ", ".join(f"{package} {number}" for package, number in versions().items())
    shown: list[Block] = [
        Text(
            f"Revision `{revision}`{dirty}, dataset `{content.dataset}`, preset "
            f"`{name or 'none'}`. Any parameter below is set by `dvc exp run -S KEY=VALUE`."
        ),
        Text(f"```sh\n{checkout}{rerun(name)}\n```"),
        *text(f"Computed with: {'; '.join(computed)}." if computed else ""),
        Text(_pretrained(content)),
    ]
    if timings:
        note = (
            "Last run of every stage on the machine that wrote this report; stages whose results "
            "came from a cache have none."
        )
        shown.append(Fold("Wall time and images shown", [Text(note), wall_time(timings)]))
    yaml = f"```yaml\n{as_yaml(content.used)}```"
    return [
        *shown,
        Fold("Versions", [Text(listed)]),
        Fold("Parameters that this report depends on", [Text(yaml)]),
    ]


def _pretrained(content: Content) -> str:
    """Say what had ImageNet weights: segmenters, painters, and distances between images."""
    used = content.used
    segment, report = used["segment"], used["report"]
    options = segment["archs"].get(segment["arch"]) or {}
    places = ["segmenters"] if options.get("pretrained") or segment.get("weights") else []
    for name, numbers in used.get("painters", {}).items():
        if numbers.get("pretrained") or numbers.get("vgg"):
            places.append(f"losses of `{name}`")
    if report.get("pretrained") or report.get("fid_weights"):
        places.append("distances between images")
    return f"Pretrained weights are in: {', '.join(places) or 'nothing'}."


def wall_time(timings: Sequence[Json]) -> Table:
    """Return wall time and images per stage; the seeds of a row's cells are added up."""
    families: dict[str, list[Json]] = {}
    for entry in timings:
        families.setdefault(SEED.sub("", entry["stage"]), []).append(entry)
    rows = []
    for stage, entries in families.items():
        seconds = sum(entry["seconds"] for entry in entries)
        images = sum(entry["images"] or 0 for entry in entries)
        runs = "" if len(entries) == 1 else f" ({len(entries)} runs)"
        rate = f"{images / seconds:.1f}" if images and seconds else ""
        rows.append([stage + runs, _duration(seconds), str(images or ""), rate])
    total = sum(entry["seconds"] for entry in timings)
    rows.append(["**sum**", f"**{_duration(total)}**", "", ""])
    return Table(["stage", "wall time", "images", "images/s"], rows)


def compute_in_words(compute: Json | None) -> str:
    """Return what computed a cell or a method, for example `fp32, channels last, 2 threads`."""
    found = compute or {}
    parts = [str(found["precision"])] if "precision" in found else []
    parts += ["channels last"] if found.get("channels_last") else []
    if found.get("threads"):
        parts.append("1 thread" if found["threads"] == 1 else f"{found['threads']} threads")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {seconds % 60:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min"
