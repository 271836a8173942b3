"""A Prefect server and a worker, as processes that tests can kill."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import psutil

PATIENCE = 400  # seconds until a server, a worker or a state must be there


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {patience} s for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process and all that it started."""
    if process.poll() is not None:
        return
    members = family(process.pid)
    process.terminate()
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


class Office:
    """A server, and one worker for one clone; both can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        # Whoever calls home has to go through here, and is heard.
        self.outside = socket.create_server(("127.0.0.1", 0))
        self.settings = {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_CLI_PROMPT": "false",
            "NO_PROXY": "127.0.0.1,localhost",
            **dict.fromkeys(
                ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
                f"http://127.0.0.1:{self.outside.getsockname()[1]}",
            ),
        }
        self.server: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    def start(self, project: Any, name: str, *words: str, cwd: Path) -> subprocess.Popen[bytes]:
        environment = {**project.environment(), "SCENE_PALETTE_ROOT": str(project.root)}
        # What README does not ask for is not there: telemetry has to be off without it.
        for quiet in ("CI", "DO_NOT_TRACK", "DVC_NO_ANALYTICS", "PREFECT_SERVER_ANALYTICS_ENABLED"):
            environment.pop(quiet, None)
        with (self.folder / f"{name}.log").open("a") as log:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def open(self, project: Any) -> None:
        command = ["prefect", "server", "start", "--no-ui", "--port", str(self.port)]
        self.server = self.start(project, "server", *command, cwd=project.root)
        wait_for("the server", self.is_open)

    def is_open(self) -> bool:
        try:
            with urlopen(f"{self.settings['PREFECT_API_URL']}/health", timeout=5) as answer:
                return answer.status == 200
        except (URLError, ConnectionError, TimeoutError):
            return False

    def employ(self, project: Any) -> None:
        command = ["prefect", "worker", "start", "--pool", "gpu-pool", "--limit", "1"]
        # Anywhere: the deployment knows the clone from the worker's variable.
        self.worker = self.start(project, "worker", *command, cwd=self.folder)

    def ask(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.settings['PREFECT_API_URL']}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def look(self, path: str) -> Any:
        answer = httpx.get(f"{self.settings['PREFECT_API_URL']}/{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def create_run(self, deployment: str, parameters: dict[str, Any]) -> httpx.Response:
        """Ask for a run of a deployment, as `prefect deployment run` and the browser do."""
        about = self.look(f"deployments/name/{deployment}/{deployment}")
        url = f"{self.settings['PREFECT_API_URL']}/deployments/{about['id']}/create_flow_run"

        def answer() -> httpx.Response | None:
            got = httpx.post(url, json={"parameters": parameters}, timeout=30)
            return None if got.is_server_error else got  # a busy database, on a busy machine

        return wait_for("an answer", answer)

    def heard(self) -> list[str]:
        """Return the first lines of what was sent to machines elsewhere."""
        lines = []
        self.outside.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                caller, _ = self.outside.accept()
                with caller:
                    lines.append(caller.recv(1000).decode(errors="replace").splitlines()[0])
        return lines

    def state(self, run: str) -> str:
        try:
            return self.look(f"flow_runs/{run}")["state"]["name"]
        except httpx.TransportError:
            return "no server"

    def message(self, run: str) -> str:
        return self.look(f"flow_runs/{run}")["state"]["message"]

    def log(self, run: str) -> str:
        chosen = {"flow_run_id": {"any_": [run]}}
        lines: list[str] = []
        while more := self.ask("logs/filter", logs=chosen, offset=len(lines), sort="TIMESTAMP_ASC"):
            lines += [entry["message"] for entry in more]
        return "\n".join(lines)
