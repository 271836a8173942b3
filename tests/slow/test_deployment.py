"""A server, a work pool, a worker and a deployment, as `prefect.yaml` describes them."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

pytestmark = pytest.mark.slow

PATIENCE = 400  # seconds until a server, a worker or a state must be there


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (URLError, ConnectionError, TimeoutError):
        return False


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process and all that it started."""
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(True))]
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family:
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()


@pytest.fixture(scope="module")
def prefect_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server on a free loopback port: the settings that lead to it."""
    home = tmp_path_factory.mktemp("prefect")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLI_PROMPT": "false",
    }
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            ["prefect", "server", "start", "--no-ui", "--port", str(port)],
            env={**os.environ, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for("the server", lambda: healthy(url))
            yield settings
        finally:
            stop(server)


@pytest.fixture
def worker(
    pristine: Any, tmp_path: Path, prefect_env: dict[str, str], copy: Callable
) -> Iterator[Any]:
    """A small clone with a deployment, and a worker for it."""
    project = copy(pristine)
    project.set(
        recipes={
            "real": {"layouts": "none", "painter": "none", "adapt": "none"},
            "semi": {"layouts": "real", "painter": "spade", "adapt": "none"},
        },
        train={"layouts": ["none", "real"], "painters": ["none", "spade"]},
        report__recipes=["real", "semi"],
    )
    project.commit("two recipes")
    project = project.with_settings(prefect_env)
    project.run("prefect", "work-pool", "create", "gpu-pool", "--type", "process", "--overwrite")
    project.run("prefect", "deploy", "--all")
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(
            ["prefect", "worker", "start", "--pool", "gpu-pool", "--limit", "1"],
            cwd=tmp_path,  # anywhere: the deployment knows the clone from the worker's variable
            env={**project.environment(), "SCENE_PALETTE_ROOT": str(project.root)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield project
        finally:
            stop(process)


def artifact(project: Any, key: str) -> Any:
    """Return the data of the newest artifact with a key."""
    import httpx

    url = project.settings["PREFECT_API_URL"]
    answer = httpx.get(f"{url}/artifacts/{key}/latest", timeout=30)
    answer.raise_for_status()
    return answer.json()["data"]


def training_in(root: Path) -> psutil.Process | None:
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or [])
        mine = process.info["cwd"] == str(root)
        if mine and line.startswith("python -m synth.train_painter --method spade"):
            return process
    return None


def test_a_deployed_experiment_ends_with_its_report(worker: Any) -> None:
    output = worker.run("prefect", "deployment", "run", "experiment/experiment", "--watch")
    assert "Completed" in output
    report = (worker.root / "evaluate" / "report.md").read_text()
    assert artifact(worker, "report") == report
    assert artifact(worker, "stages") == 100.0
    assert "Data and pipelines are up to date." in worker.dvc("status")


def test_a_cancelled_experiment_leaves_no_training_behind(worker: Any) -> None:
    worker.set(painters__spade__num_images=1000000)
    started = worker.run("prefect", "deployment", "run", "experiment/experiment")
    training = wait_for("the painter's training", lambda: training_in(worker.root))
    run_id = next(line.split()[-1] for line in started.splitlines() if "UUID" in line)
    worker.run("prefect", "flow-run", "cancel", run_id)
    wait_for("the training to end", lambda: not training.is_running())
    wait_for(
        "the state Cancelled",
        lambda: "Cancelled" in worker.run("prefect", "flow-run", "inspect", run_id),
    )
    # Nothing was left locked.
    worker.set(painters__spade__num_images=160)
    assert "Completed" in worker.run(
        "prefect", "deployment", "run", "experiment/experiment", "--watch"
    )
