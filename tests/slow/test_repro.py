"""`dvc repro` on the whole pipeline: what runs, what does not, what survives a kill."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import psutil
import pytest
from ruamel.yaml import YAML

from data.stage.params import read
from synth.layouts import LAYOUTS

pytestmark = pytest.mark.slow

NOTHING = "Data and pipelines are up to date."


def ran(output: str) -> list[str]:
    return re.findall(r"^Running stage '([^']+)'", output, re.MULTILINE)


def before_the_report(lock: dict[str, Any]) -> list[str]:
    return [address for address in lock if address != "report"]


def test_a_clean_clone_gets_a_report_and_the_second_run_does_nothing(finished: Any) -> None:
    report = json.loads((finished.root / "evaluate" / "report.json").read_text())
    assert set(report["rows"]) == {"real", "real_more", "semi", "palette", "partial"}
    assert {entry["against"] for entry in report["verdicts"]} == {"real", "real_more", "both"}
    assert report["preset"] == "tiny"
    assert (finished.root / "evaluate" / "report.md").stat().st_size > 1000
    output = finished.dvc("repro")
    assert ran(output) == []
    assert NOTHING in output


def test_a_compiled_file_makes_nothing_stale(finished: Any, copy: Callable) -> None:
    project = copy(finished)
    for folder in ("synth", "data/sources/streets", "synth/layouts"):
        cache = project.root / folder / "__pycache__"
        cache.mkdir(exist_ok=True)
        (cache / "x.cpython-399.pyc").write_bytes(b"x")
    assert NOTHING in project.dvc("status")


def test_a_clone_without_a_remote_knows_that_nothing_has_to_run(
    finished: Any, tmp_path: Path
) -> None:
    subprocess.run(
        ["git", "clone", "--quiet", str(finished.root), str(tmp_path / "clone")], check=True
    )
    project = type(finished)(tmp_path / "clone")
    assert not (project.root / "artifacts").exists()
    assert ran(project.dvc("repro", "--allow-missing")) == []


def test_every_stage_makes_the_same_bytes_again(finished: Any, copy: Callable) -> None:
    project = copy(finished)
    before = project.locked()
    # The report tells wall times; all that it is made of does not.
    output = project.dvc("repro", "--force", "--no-run-cache", *before_the_report(before))
    assert set(ran(output)) == set(before) - {"report"}
    after = project.locked()
    changed = [address for address in before if before[address] != after[address]]
    assert not changed


def test_an_experiment_runs_only_what_depends_on_the_changed_number(
    finished: Any, copy: Callable
) -> None:
    project = copy(finished)
    output = project.dvc("exp", "run", "--set-param", "layouts.semantic_palette.lr=2e-3")
    assert set(ran(output)) == {
        "layout@semantic_palette",
        "produce@palette",
        "rows",
        "segment@palette-0",
        "segment@palette-1",
        "score@palette",
        "report",
    }
    # The same number, written by hand: one float, for DVC and for us.
    params = project.root / "params.yaml"
    config = LAYOUTS["semantic_palette"].Config
    assert read("layouts.semantic_palette", config, params).lr == 0.002
    text = params.read_text()
    found = re.search(r"lr: (\S+)", text.partition("semantic_palette:\n")[2])
    assert found
    params.write_text(text.replace(f"lr: {found[1]}", "lr: 2e-3", 1))
    assert read("layouts.semantic_palette", config, params).lr == 0.002
    assert NOTHING in project.dvc("status")


def test_an_experiment_with_an_unknown_key_is_refused(finished: Any, copy: Callable) -> None:
    project = copy(finished)
    # By DVC when it is a slip, by the stage when it was added on purpose.
    wrong = project.dvc("exp", "run", "--set-param", "painters.spade.wdth=8", status=255)
    assert "wdth" in wrong
    added = project.dvc(
        "exp", "run", "--set-param", "+painters.spade.wdth=8", "painter@spade", status=255
    )
    assert "`painters.spade.wdth` is not a known key" in added


def test_two_experiments_at_once_have_their_own_numbers_and_the_edited_code(
    pristine: Any, copy: Callable
) -> None:
    project = copy(pristine)
    # Not committed: an experiment takes edits of tracked files along.
    code = project.root / "synth" / "stages" / "fit_palette.py"
    code.write_text(code.read_text().replace("def main(", 'print("edited")\n\n\ndef main('))
    names = {"one": 1, "two": 2}
    children = [
        project.start(
            *("dvc", "exp", "run", "--temp", "--name", name),
            *("--set-param", f"palette.max_components={number}", "palette"),
        )
        for name, number in names.items()
    ]
    for child in children:
        output = child.communicate()[0]
        assert child.returncode == 0, output
        assert "edited" in output.splitlines(), output
    committed = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps")
    for name, number in names.items():
        ref = next(line for line in committed.splitlines() if line.endswith(f"/{name}"))
        params = YAML(typ="safe").load(project.run("git", "show", f"{ref}:params.yaml"))
        assert params["palette"]["max_components"] == number
    assert not (project.root / "artifacts").exists(), "the workspace was left alone"


def test_another_seed_runs_only_its_cells_and_the_report_follows_the_list(
    finished: Any, copy: Callable
) -> None:
    project = copy(finished)
    project.set(report__seeds=[0, 2], report__rows=["real"])
    output = project.dvc("repro", "report")
    # `filters` looks whether seeds share slices, and makes what it made
    assert set(ran(output)) == {"filters", "segment@real-2", "judge", "report"}
    # Cells of seed 1 and of other rows still lie there.
    assert (project.root / "artifacts" / "segment" / "real" / "1" / "cell.json").exists()
    report = json.loads((project.root / "evaluate" / "report.json").read_text())
    assert set(report["rows"]) == {"real"}
    scores = pandas.read_parquet(project.root / "evaluate" / "scores.parquet")
    assert set(scores.loc[scores["row"] == "real", "seed"]) == {0, 2}


def test_a_missing_cell_is_named(finished: Any, copy: Callable) -> None:
    project = copy(finished)
    (project.root / "artifacts" / "segment" / "semi" / "1" / "cell.json").unlink()
    words = ["--artifacts", "artifacts", "--out", "elsewhere"]
    output = project.run("python", "-m", "evaluate.stages.report", *words, status=2)
    assert "artifacts/segment/semi/1" in output
    assert len(output.strip().splitlines()) == 1


def test_four_stages_at_once(finished: Any, copy: Callable) -> None:
    project = copy(finished)
    project.set(training__seed=7)
    cells = [
        "layout@real",
        "layout@semantic_palette",
        "layout@partial_palette",
        "painter@spade",
    ]
    children = [
        project.start("dvc", "--wait-for-lock", "repro", "--single-item", cell) for cell in cells
    ]
    outputs = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4, "\n".join(outputs)
    for cell in cells:
        assert project.locked()[cell]["params"]["params.yaml"]["training"]["seed"] == 7


# == kills ==

TRAININGS = {
    "layout@semantic_palette": "synth.stages.train_layout",
    "painter@spade": "synth.stages.train_painter",
}


def training_of(dvc: int, module: str) -> psutil.Process:
    """Return the process of a stage's own command, not the shell around it."""
    children = psutil.Process(dvc).children(recursive=True)
    return next(it for it in children if " ".join(it.cmdline()).startswith(f"python -m {module}"))


def kill_in_the_middle(project: Any, address: str, whole_group: bool) -> str:
    """SIGKILL a stage as soon as it has left a checkpoint; return what was printed."""
    started = project.start("dvc", "repro", "--single-item", address)
    try:
        while not list(project.root.glob(".scratch/*/checkpoint.pt")):
            assert started.poll() is None, f"it ended too soon: {started.communicate()[0]}"
            time.sleep(0.01)
        if whole_group:
            os.killpg(started.pid, signal.SIGKILL)
        else:
            training_of(started.pid, TRAININGS[address]).send_signal(signal.SIGKILL)
        output = started.communicate()[0]
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    assert started.returncode != 0
    return output


@pytest.mark.parametrize(
    ("address", "whole_group"),
    [
        ("layout@semantic_palette", True),
        ("layout@semantic_palette", False),
        ("painter@spade", True),
        ("painter@spade", False),
    ],
)
def test_a_killed_training_resumes_and_ends_with_the_same_weights(
    finished: Any, copy: Callable, address: str, whole_group: bool
) -> None:
    project = copy(finished)
    project.set(training__seed=11)
    kill_in_the_middle(project, address, whole_group)
    # No lock to remove by hand.
    output = project.dvc("repro", "--single-item", address)
    resumed = re.search(r"resumed at step (\d+) of (\d+)", output)
    assert resumed, output
    assert 0 < int(resumed[1]) < int(resumed[2])
    assert not list(project.root.glob(".scratch/*")), "checkpoints are removed on success"
    after_kill = project.locked()[address]["outs"]
    output = project.dvc("repro", "--force", "--no-run-cache", "--single-item", address)
    assert "resumed" not in output
    assert project.locked()[address]["outs"] == after_kill


def test_a_checkpoint_of_other_numbers_is_not_used(finished: Any, copy: Callable) -> None:
    project = copy(finished)
    trained = project.locked()["painter@spade"]["outs"]
    project.set(painters__spade__generator_lr=2.0e-4)
    kill_in_the_middle(project, "painter@spade", whole_group=False)
    project.set(painters__spade__generator_lr=3.0e-4)
    output = project.dvc("repro", "--single-item", "painter@spade")
    assert "resumed" not in output
    assert project.locked()["painter@spade"]["outs"] != trained
    # Back to the first numbers: nothing trains, the run cache has them.
    project.set(painters__spade__generator_lr=4.0e-4)
    output = project.dvc("repro", "--single-item", "painter@spade")
    assert "is cached - skipping run" in output
    assert project.locked()["painter@spade"]["outs"] == trained
