"""`make advise` on the tiny preset: from a clean clone to a paragraph, through a kill."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SMALL = {
    "advise__candidates": {"semi": {"with": ["semi"]}, "palette": {"with": ["palette"]}},
    "advise__augment": ["photometric"],
    "advise__rungs": [0.5, 1.0],
    "advise__seeds": {"search": [2], "confirm": [0, 1]},
    "advise__at_least": 2,
}


def done(root: Path) -> set[str]:
    folder = root / "artifacts/advice/trials"
    return {path.parent.name for path in folder.glob("[!.]*/trial.json")}


def test_a_clean_clone_gets_a_paragraph_and_a_killed_run_goes_on(
    pristine: Any, copy: Callable
) -> None:
    project = copy(pristine)
    project.set(**SMALL)
    project.commit("small")
    first = project.start("python", "-m", "flows.advise", "--minutes", "30")
    end = time.monotonic() + 600
    while len(done(project.root)) < 3 and first.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert first.poll() is None, first.communicate()[0]
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = done(project.root)
    assert len(before) >= 3
    out = project.root / "artifacts/advice"
    times = {name: (out / "trials" / name / "trial.json").stat().st_mtime_ns for name in before}
    output = project.run("python", "-m", "flows.advise", "--minutes", "30")
    after = {name: (out / "trials" / name / "trial.json").stat().st_mtime_ns for name in before}
    assert times == after, "a trial that was done is not done again"
    assert "Running stage 'segment@" not in output
    said = json.loads((out / "advice.json").read_text())
    assert len(said["trials"]) == len(done(project.root))
    assert (out / "advice.md").read_text().startswith("# Advice\n\n**Train ")
    text = (out / "advice.json").read_bytes()
    project.run("python", "-m", "evaluate.stages.advise", "--minutes", "30")
    assert (out / "advice.json").read_bytes() == text
    assert "Running stage" not in project.dvc("repro", "rows")


def test_what_is_wrong_is_said_before_anything_runs(pristine: Any, copy: Callable) -> None:
    project = copy(pristine)
    project.set(advise__candidates={"a": {"with": ["nowhere"]}})
    output = project.run("python", "-m", "evaluate.stages.advise", "--check", status=2)
    assert output.startswith(
        "error: params.yaml: no entry of advise.candidates has all of its sets"
    )
    assert output.count("\n") == 1
    assert not (project.root / "artifacts").exists()
