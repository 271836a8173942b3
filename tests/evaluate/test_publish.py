"""Publishing a report, and what it says of where it comes from."""

import re
import subprocess
from pathlib import Path

import pytest

from data.stage.errors import UserError
from data.stage.outputs import read_json
from evaluate.page import provenance
from evaluate.stages import report
from evaluate.stages.publish import publish
from tests.evaluate.projects import ARTIFACTS, OUT, change


@pytest.mark.parametrize(("dataset", "shown"), [("streets", True), ("camvid", False)])
def test_publishing_leaves_out_pixels(copied, dataset, shown):
    if dataset != "streets":
        change(dataset={"source": dataset})
        report.main(artifacts=ARTIFACTS, out=OUT)
    (OUT / "figures" / "unlisted.png").write_bytes(b"who knows what this shows")
    left_out = publish(OUT, OUT / "results", "camvid-cpu")
    target = OUT / "results" / "camvid-cpu"
    files = {path.name for path in (target / "figures").iterdir()}
    pixels = {f"pairs_{name}.png" for name in ("real", "semi", "palette", "partial")}
    pixels |= {f"closest_{name}.png" for name in ("semi", "palette", "partial")} | {"pairs.png"}
    assert (pixels <= files) == shown
    assert set(left_out) == (set() if shown else pixels)
    assert bool(files & pixels) == shown
    assert {"gains_test.png", "val_curves.png", "palettes.png"} <= files
    assert "unlisted.png" not in files
    names = {path.name for path in target.iterdir()}
    assert names == {"figures", "report.md", "report.json", "scores.parquet", "metrics.json"}
    text = (target / "report.md").read_text()
    assert set(re.findall(r"\]\(figures/([\w.]+)\)", text)) == files
    assert ("may not be redistributed" in text) == (not shown)
    listed = {entry["file"] for entry in read_json(target / "report.json")["figures"]}
    assert listed == files


def test_publishing_refuses_other_names(project):
    with pytest.raises(UserError, match="not allowed"):
        publish(OUT, OUT / "results", "../elsewhere")
    with pytest.raises(UserError, match="run the report stage first"):
        publish(OUT, OUT / "results", "fine")


def test_revision_knows_edited_code_from_the_traces_of_a_run(tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        names = ["-c", "user.name=n", "-c", "user.email=e@x"]
        command = ["git", *names, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.revision() == "unknown"
    for name in ("code.py", "dvc.lock", "params.yaml"):
        Path(name).write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD")
    assert provenance.revision() == commit
    Path("dvc.lock").write_text("2")
    Path("params.yaml").write_text("2")
    Path("untracked").write_text("2")
    assert provenance.revision() == commit
    Path("code.py").write_text("2")
    assert provenance.revision() == f"{commit}-dirty"


def test_wall_times_are_those_of_the_last_run(tmp_path):
    path = tmp_path / "timings.jsonl"
    lines = [
        '{"stage": "ingest", "seconds": 9.0, "images": 4, "finished": "a"}',
        '{"stage": "report", "seconds": 1.0, "images": null, "finished": "b"}',
        '{"stage": "palette", "seconds": 2.0, "images": null, "finished": "c"}',
        '{"stage": "ingest", "seconds": 3.0, "images": 4, "finished": "d"}',
    ]
    path.write_text("\n".join(lines) + "\n")
    assert [(t["stage"], t["seconds"]) for t in provenance.timings(path)] == [
        ("ingest", 3.0),
        ("palette", 2.0),
    ]
    assert provenance.timings(tmp_path / "none") == []
