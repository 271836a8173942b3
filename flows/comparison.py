"""Reports of several experiments beside each other, in one table."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_HEAD = ("experiment", "recipe", "val mIoU", "gain on val", "test mIoU", "gain on test")


def page(
    reports: Mapping[str, Json], changes: Mapping[str, Sequence[str]], failed: Mapping[str, str]
) -> str:
    """Return the comparison as Markdown: a table of every recipe of every report.

    `reports` are the contents of report.json by experiment, `changes` what each experiment set,
    `failed` the first line of what is wrong where there is no report.
    """
    rows = [
        (experiment, f"`{recipe}`", *_scores(entry), *_scores(entry.get("test")))
        for experiment, report in reports.items()
        for recipe, entry in report["recipes"].items()
    ]
    lines = [_line(_HEAD), _line(("---", "---", "---:", "---:", "---:", "---:")), *map(_line, rows)]
    what = [
        f"* {name}: {', '.join(f'`{change}`' for change in made) or 'params.yaml as it is'}"
        for name, made in changes.items()
    ]
    broken = [f"* {name} failed: {reason}" for name, reason in failed.items()]
    note = (
        "mIoU in percent, with the deviation over seeds; gain over the real-only baseline of the "
        "same experiment, paired by seed, with its 95 % interval. No interval for one seed."
    )
    parts = ["# Ablation", "\n".join(lines), "\n".join(what), *broken, note]
    return "\n\n".join(parts) + "\n"


def _scores(entry: Json | None) -> tuple[str, str]:
    if not entry:
        return "", ""
    miou, delta = entry["miou"], entry["delta"]
    spread = "" if miou["std"] is None else f" ± {miou['std']:.1f}"
    if not delta:
        return f"{miou['mean']:.1f}{spread}", ""
    interval = "" if delta["low"] is None else f" [{delta['low']:+.1f}, {delta['high']:+.1f}]"
    return f"{miou['mean']:.1f}{spread}", f"{delta['mean']:+.1f}{interval}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
