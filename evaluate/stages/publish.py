"""Copy a report into evaluate/results: `python -m evaluate.stages.publish --name camvid-cpu`.

Figures that show pixels of a dataset that may not be redistributed stay behind. So does
report.html, which holds every figure once more: whoever has the artifacts renders it anew.
"""

import re
import shutil
from pathlib import Path

from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import read_json, replacing, write_json, write_text
from data.stage.progress import log
from evaluate.page import markdown
from evaluate.page.blocks import Figure

REPORT = Path("evaluate")
RESULTS = Path("evaluate/results")
NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")  # never reaches a shell through DVC, so a dash is fine
PLAIN = ("scores.parquet", "metrics.json")


def publish(report: Path, results: Path, name: str) -> list[str]:
    """Copy the report of a folder to `results/name`; return the figures that stayed behind.

    Only figures that report.json lists are copied, and of a dataset that may not be
    redistributed only those that it lists without pixels; the page says what is left out.
    """
    if not NAME.match(name):
        raise UserError(f"name {name!r} is not allowed; use lower-case letters, digits, - and _")
    if not (report / "report.json").is_file():
        raise UserError(f"{report} has no report.json; run the report stage first")
    content = read_json(report / "report.json")
    text = (report / "report.md").read_text(encoding="utf-8")
    figures = [Figure(**entry) for entry in content["figures"]]
    kept = [figure for figure in figures if content["redistributable"] or not figure.pixels]
    left_out = [figure for figure in figures if figure not in kept]
    for figure in left_out:
        text = text.replace(markdown.figure(figure), _notice(figure, content["dataset"]))
    with replacing(results / name) as folder:
        (folder / "figures").mkdir()
        for figure in kept:
            shutil.copyfile(report / "figures" / figure.file, folder / "figures" / figure.file)
        for file in PLAIN:
            shutil.copyfile(report / file, folder / file)
        content["figures"] = [figure.to_json() for figure in kept]
        write_json(folder / "report.json", content)
        write_text(folder / "report.md", text)
    return [figure.file for figure in left_out]


def main(*, name: str) -> None:
    """Copy evaluate/report.* and figures to evaluate/results/NAME."""
    left_out = publish(REPORT, RESULTS, name)
    log.info(f"published to {RESULTS / name}")
    if left_out:
        log.info(f"left out, pixels may not be redistributed: {', '.join(left_out)}")


def _notice(figure: Figure, dataset: str) -> str:
    return f"*{figure.caption} Left out here: pixels of {dataset} may not be redistributed.*"


if __name__ == "__main__":
    run(main)
