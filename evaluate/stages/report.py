"""STAGE: write the report of all rows and seeds."""

import csv
import io
from pathlib import Path

from data.stage.cli import run
from data.stage.outputs import read_json, replacing, write_json, write_text
from data.stage.timings import timed
from evaluate import collect, scores
from evaluate.content import Content, curves, gather, metrics_json, to_json
from evaluate.page import html, markdown, provenance
from evaluate.page.figures import draw_all
from evaluate.page.page import compute_in_words, sections, title


def main(*, artifacts: Path, out: Path) -> None:
    """Write report.md, .html and .json, scores.parquet, metrics.json, curves/ and figures/."""
    content = gather(artifacts)
    with timed("report"), replacing(out / "figures") as folder:
        drawn = draw_all(content, artifacts, folder)
        found = curves(content)
        page = sections(
            content,
            drawn,
            {row: collect.late_rise(*curve) for row, curve in found.items()},
            provenance.timings(artifacts / "timings.jsonl"),
            _computed(content, artifacts),
        )
        with replacing(out / "curves") as plotted:
            for row, curve in found.items():
                write_text(plotted / f"{row}.csv", _curve_csv(*curve))
        scores.write(out / "scores.parquet", content.table)
        write_json(out / "metrics.json", metrics_json(content))
        write_json(out / "report.json", to_json(content, [figure.to_json() for figure in drawn]))
        write_text(out / "report.md", markdown.render(title(content), page))
        write_text(out / "report.html", html.render(title(content), page, folder))


def _curve_csv(iterations, values) -> str:
    """Return one line for each iteration: the mean mIoU over seeds, as `dvc plots` reads it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["iteration", "val_miou"])
    means = values.mean(axis=0) if len(iterations) else []
    writer.writerows((int(i), f"{v:.3f}") for i, v in zip(iterations, means, strict=True))
    return buffer.getvalue()


def _computed(content: Content, artifacts: Path) -> list[str]:
    """Return with which precision and threads segmenters and generators were computed."""
    by_words: dict[str, list[str]] = {}
    for entries in content.cells.values():
        words = compute_in_words(entries[0].about.get("compute"))
        if words:
            by_words.setdefault(words, ["segmenters"])
    names = [
        (kind, made[kind[:-1] if kind == "painters" else kind])
        for made in content.sets.values()
        for kind in ("layouts", "painters")
    ]
    for kind, name in dict.fromkeys(names):
        path = artifacts / kind / name / "method.json"
        words = compute_in_words(read_json(path).get("compute")) if path.is_file() else ""
        if words:
            by_words.setdefault(words, []).append(f"`{name}`")
    return [f"{', '.join(names)}: {words}" for words, names in by_words.items()]


if __name__ == "__main__":
    run(main)
