"""Reports of several experiments beside each other, in one table."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_SPLITS = ("val", "test")
_HEAD = ("experiment", "row", "val mIoU", "gain on val", "test mIoU", "gain on test")


def page(
    reports: Mapping[str, Json], changes: Mapping[str, Sequence[str]], failed: Mapping[str, str]
) -> str:
    """Return the comparison as Markdown: a table of every row of every report.

    `reports` are the contents of report.json by experiment, `changes` what each experiment set,
    `failed` the first line of what is wrong where there is no report.
    """
    rows = [
        (
            experiment,
            f"`{row}`",
            *(cell for split in _SPLITS for cell in _cells(report, row, split)),
        )
        for experiment, report in reports.items()
        for row in report["rows"]
    ]
    lines = [_line(_HEAD), _line(("---", "---", "---:", "---:", "---:", "---:")), *map(_line, rows)]
    what = [
        f"* {name}: {', '.join(f'`{change}`' for change in made) or 'params.yaml as it is'}"
        for name, made in changes.items()
    ]
    broken = [f"* {name} failed: {reason}" for name, reason in failed.items()]
    note = (
        "mIoU in percent, with the deviation over seeds; gain over the better baseline of the same "
        "experiment, paired by seed, with its 95 % interval. No interval for one seed."
    )
    parts = ["# Ablation", "\n".join(lines), "\n".join(what), *broken, note]
    return "\n\n".join(parts) + "\n"


def _cells(report: Json, row: str, split: str) -> tuple[str, str]:
    """Return score and gain of a row; nothing where there is none."""
    if split not in report["rows"][row]:
        return "", ""
    miou = report["rows"][row][split]["miou"]
    score = f"{miou['mean']:.1f}" + ("" if miou["std"] is None else f" ± {miou['std']:.1f}")
    wanted = (row, split, "both")
    for entry in report["verdicts"]:
        if (entry["row"], entry["split"], entry["against"]) == wanted:
            low, high = entry["low"], entry["high"]
            interval = "" if low is None else f" [{low:+.1f}, {high:+.1f}]"
            return score, f"{entry['mean']:+.1f}{interval}"
    return score, ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
