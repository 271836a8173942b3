"""Server, work pool, worker and deployments as `prefect.yaml` has them, and what may befall them.

One server and one worker for all tests; the pipeline is cut down to the stages that paint.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from tests.slow.office import Office, family, is_alive, stop, wait_for

pytestmark = pytest.mark.slow

PAINTER = "painter@spade"
REPORT = """
import json
from pathlib import Path
from data.stage.params import read_raw
Path("evaluate/metrics.json").write_text(json.dumps({"real": read_raw("report.sheet_rows")}))
Path("evaluate/report.md").write_text("# Report\\n")
"""


@pytest.fixture(scope="module")
def clone(pristine: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A clone of ingest, palette, layout, painter, produce and a report, all of which have run."""
    root = tmp_path_factory.mktemp("painters") / "clone"
    shutil.copytree(pristine.root, root)
    project = type(pristine)(root)
    project.set(
        sets={"semi": {"layouts": "real", "painter": "spade", "num_pairs": 8}},
        train={"layouts": ["real"], "painters": ["spade"], "joints": {}},
        painters__spade__num_images=320,
    )
    yaml = YAML()
    pipeline = yaml.load((root / "dvc.yaml").read_text())
    kept = ("ingest", "palette", "layout", "painter", "produce")
    stages = {name: pipeline["stages"][name] for name in kept}
    stages["report"] = {
        "cmd": "python report.py",
        "deps": ["artifacts/pairs/semi", "report.py"],
        "params": ["report.sheet_rows"],
        "outs": ["evaluate/report.md"],
        "metrics": ["evaluate/metrics.json"],
    }
    with (root / "dvc.yaml").open("w") as file:
        yaml.dump({"stages": stages}, file)
    (root / "report.py").write_text(REPORT)
    project.commit("painters only")
    project.dvc("repro")
    project.commit("run")
    return project


@pytest.fixture(scope="module")
def office(clone: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The five commands of README, and a clone that a worker works in."""
    office = Office(tmp_path_factory.mktemp("office"))
    project = clone.with_settings(office.settings)
    try:
        office.open(project)
        project.run("prefect", "work-pool", "create", "gpu-pool", "--type", "process")
        project.run("prefect", "deploy", "--all")
        office.employ(project)
        yield office
    finally:
        for process in (office.worker, office.server):
            if process is not None:
                stop(process)
        office.outside.close()


@pytest.fixture
def project(clone: Any, office: Office) -> Any:
    """The worker's clone, with the settings of the office."""
    return clone.with_settings(office.settings)


def ask_for(office: Office, deployment: str, **parameters: Any) -> str:
    """Ask for a run, return its id."""
    asked = office.create_run(deployment, parameters)
    assert asked.status_code == 201, asked.text
    return asked.json()["id"]


def retrain(project: Any, seed: int) -> None:
    """Make the painter stale, and nothing that is needed before it; forget all checkpoints."""
    shutil.rmtree(project.root / ".scratch", ignore_errors=True)
    project.set(painters__spade__num_images=320 + 4 * seed)


def ask_for_painter(office: Office) -> str:
    return ask_for(office, "experiment", stages=[PAINTER])


def training_in(root: Path) -> psutil.Process | None:
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or [])
        mine = process.info["cwd"] == str(root)
        if mine and line.startswith("python -m synth.stages.train_painter --method spade"):
            return process
    return None


def in_the_middle(root: Path) -> psutil.Process:
    """Wait until the painter has left a checkpoint; return its training."""
    wait_for("a checkpoint", lambda: list(root.glob(".scratch/*/checkpoint.pt")))
    return wait_for("the training", lambda: training_in(root))


def completed(office: Office, run: str) -> bool:
    state = office.state(run)
    assert state not in ("Failed", "Crashed", "Cancelled"), f"{state}\n{office.log(run)}"
    return state == "Completed"


def assert_same_weights(project: Any) -> None:
    """The weights in the clone are those of a training that nobody disturbed."""
    disturbed = project.locked()[PAINTER]["outs"]
    project.dvc("repro", "--force", "--no-run-cache", "--single-item", PAINTER)
    assert project.locked()[PAINTER]["outs"] == disturbed


def test_a_wrong_parameter_is_refused_before_there_is_a_run(project: Any, office: Office) -> None:
    for deployment, parameters, word in [
        ("experiment", {"workers": 0}, "minimum"),
        ("experiment", {"workers": "many"}, "integer"),
        ("experiment", {"gpus": [1, 1]}, "unique"),
        ("experiment", {"stages": ["report;touch pwned"]}, "report;touch pwned"),
        ("experiment", {"stages": []}, "stages"),
        ("ablation", {"overrides": ["a.b=$(touch pwned)"]}, "touch pwned"),
        ("ablation", {"overrides": []}, "overrides"),
        ("ablation", {}, "overrides"),
        ("advise", {"minutes": 0}, "minimum"),
        ("produce", {"set": "semi|ls"}, "semi|ls"),
        ("produce", {"set": "semi", "num_pairs": -1}, "minimum"),
        ("produce", {"set": "semi", "engine": "slurm"}, "slurm"),
    ]:
        answer = office.create_run(deployment, parameters)
        assert answer.status_code == 409, answer.text
        assert word in answer.text
    # And in words at a terminal, a slip of a name too.
    command = ("prefect", "deployment", "run", "experiment/experiment", "--param", "wrokers=2")
    assert "wrokers" in project.run(*command, status=1)
    assert office.ask("flow_runs/count") == 0


def test_a_killed_training_is_tried_again_and_a_second_run_is_refused_meanwhile(
    project: Any, office: Office
) -> None:
    retrain(project, 1)
    run = ask_for_painter(office)
    training = in_the_middle(project.root)
    second = project.start("python", "-m", "flows.pipeline")
    training.suspend()
    output = second.communicate()[0]
    assert second.returncode != 0
    assert "is in use by another run (process " in output
    training.kill()
    wait_for("the run", lambda: completed(office, run))
    assert re.search(r"resumed at step [1-9]\d* of", office.log(run))
    assert_same_weights(project)


def test_a_cancelled_run_leaves_nothing_alive_and_the_next_one_starts_at_once(
    project: Any, office: Office
) -> None:
    project.set(painters__spade__num_images=1000000)
    run = ask_for_painter(office)
    in_the_middle(project.root)
    assert office.worker is not None
    children = family(office.worker.pid)[1:]
    assert [it for it in children if "synth.stages.train_painter" in " ".join(it.cmdline())]
    project.run("prefect", "flow-run", "cancel", run)
    # 10 s where nothing else is at work: two interpreters have to unwind.
    patience = 10.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    wait_for("every child to end", lambda: not any(map(is_alive, children)), patience)
    assert training_in(project.root) is None
    wait_for("the state", lambda: office.state(run) == "Cancelled")
    retrain(project, 2)
    run = ask_for_painter(office)
    wait_for("the next run", lambda: completed(office, run))


def test_a_run_survives_its_worker_and_its_server(project: Any, office: Office) -> None:
    retrain(project, 3)
    run = ask_for_painter(office)
    in_the_middle(project.root)
    assert office.worker is not None and office.server is not None
    # The worker alone: the run is in a session of its own.
    office.worker.kill()
    office.worker.wait()
    members = family(office.server.pid)
    for member in members:
        member.kill()
    office.server.wait()
    wait_for("the training to end", lambda: training_in(project.root) is None)
    office.open(project)
    office.employ(project)
    wait_for("the run", lambda: completed(office, run))
    trained = project.locked()[PAINTER]["params"]["params.yaml"]["painters.spade"]
    assert trained["num_images"] == 320 + 4 * 3


def test_a_failed_stage_is_named_and_its_sibling_finishes(project: Any, office: Office) -> None:
    project.set(painters__spade__generator_lr="wrong", layouts__real={}, training__seed=5)
    try:
        run = ask_for(office, "experiment", workers=2)
        wait_for("the failure", lambda: office.state(run) == "Failed")
    finally:
        project.run("git", "checkout", "params.yaml")
    message = office.message(run)
    assert f"failed: {PAINTER}" in message
    assert "not run, because they need a failed stage: produce@semi, report" in message
    assert "`painters.spade.generator_lr` = 'wrong'" in message
    assert "Running stage 'layout@real'" in office.log(run)


def test_an_experiment_ends_with_its_report(project: Any, office: Office) -> None:
    project.set(report__sheet_rows=3)
    output = project.run("prefect", "deployment", "run", "experiment/experiment", "--watch")
    run = next(line.split()[-1] for line in output.splitlines() if "UUID" in line)
    assert office.state(run) == "Completed", output
    assert office.look("artifacts/report/latest")["data"] == "# Report\n"
    assert office.look("artifacts/stages/latest")["data"] == 100.0


def test_an_ablation_compares_experiments_and_puts_everything_back(
    project: Any, office: Office
) -> None:
    project.run("git", "checkout", "params.yaml")
    before = (project.root / "params.yaml").read_bytes()
    run = ask_for(office, "ablation", overrides=[["report.sheet_rows=7", "report.num_scored=4"]])
    wait_for("the run", lambda: completed(office, run))
    page = office.look("artifacts/ablation/latest")["data"]
    assert page == (project.root / "evaluate" / "ablation.md").read_text()
    name = "ablation-report-sheet-rows-7-report-num-scored-4"
    assert f"## {name}\n\n`report.sheet_rows=7`, `report.num_scored=4`" in page
    line = next(line for line in page.splitlines() if "metrics.json" in line)
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["real", "2", "7", "5"]
    assert (project.root / "params.yaml").read_bytes() == before
    assert "Data and pipelines are up to date." in project.dvc("status")
    assert name in project.dvc("exp", "list", "--name-only")
    # All are checked before one runs: the good one before a slip is not started.
    run = ask_for(office, "ablation", overrides=["report.sheet_rows=9", "report.sheet_rwos=9"])
    wait_for("the refusal", lambda: office.state(run) == "Failed")
    assert "report.sheet_rwos" in office.message(run)
    assert "Running stage" not in office.log(run)


def test_pairs_are_produced_in_a_folder_of_their_own(project: Any, office: Office) -> None:
    project.run("git", "checkout", "params.yaml")
    before = project.locked()
    run = ask_for(office, "produce", set="semi", num_pairs=12)
    wait_for("the run", lambda: completed(office, run))
    folder = project.root / "artifacts" / "produced" / "semi"
    manifest = json.loads((folder / "pairs" / "manifest.json").read_text())
    assert manifest["sources"]["semi"] == 12
    assert "num_pairs: 12" in (folder / "params.yaml").read_text()
    assert office.look("artifacts/pairs/latest")["data"] == 100.0
    # The experiment is as it was.
    assert project.locked() == before
    assert "Data and pipelines are up to date." in project.dvc("status")
    run = ask_for(office, "produce", set="semi", out="data")
    wait_for("the refusal", lambda: office.state(run) == "Failed")
    assert "name a folder that is empty or new" in office.message(run)


def test_nothing_listens_to_others_and_nothing_calls_home(office: Office) -> None:
    assert office.server is not None and office.worker is not None
    addresses = {
        connection.laddr.ip
        for process in [*family(office.server.pid), *family(office.worker.pid)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}
    # Making a work pool, the server looks for a newer list of their types; it sends nothing.
    assert set(office.heard()) <= {"CONNECT raw.githubusercontent.com:443 HTTP/1.1"}
