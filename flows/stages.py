"""One DVC stage as one Prefect task.

DVC decides whether a stage runs, Prefect decides when and where. The functions without a
decorator need no Prefect run and hold what there is to test.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.clone.workspace import Workspace, end_stages, environment

DVC = (sys.executable, "-m", "dvc", "--wait-for-lock")
NUM_LAST_LINES = 20
NUM_RETRIES = 2
SHELL_SIGNAL = 128
MAX_SIGNAL = 64

_EXIT = re.compile(r"exited with (-?\d+)")
# DVC's advice for a person at a terminal: a block of git commands, then a hint about remotes.
_ADVICE = re.compile(r"^(To track the changes with git|To enable auto staging|Use `dvc push`)")
_COMMAND = re.compile(r"^\t(git add|dvc config) ")


class StageFailed(RuntimeError):
    """A stage ended with a non-zero status; `killed` is true when something shot it."""

    def __init__(self, stage: str, status: int, lines: tuple[str, ...]) -> None:
        self.stage = stage
        self.status = status
        self.lines = lines
        # Rebuilt from `args` when Prefect copies it.
        super().__init__(stage, status, lines)

    def __str__(self) -> str:
        tail = "\n".join(self.lines)
        return f"stage {self.stage} failed with exit status {self.status}; its last lines:\n{tail}"

    @property
    def killed(self) -> bool:
        """True for SIGKILL only: out of memory, a lost machine. Never for errors or SIGTERM."""
        return self.status == -signal.SIGKILL


def command(stage: str, shared: bool = False) -> list[str]:
    """Return the command that brings one stage up to date, its upstream left alone."""
    # `--wait-for-lock` belongs before `repro`: other stages may hold the repository for a moment.
    pull = ["--pull"] if shared else []
    return [*DVC, "repro", "--single-item", *pull, stage]


def run(
    stage: str,
    root: Path,
    log: logging.Logger | Any,
    env: Mapping[str, str],
    shared: bool = False,
) -> None:
    """Bring one stage up to date and stream its output to `log`.

    A shared one is taken from the DVC remote where it has run elsewhere, and put there. Raises
    `StageFailed` with the last lines when a command ends with a non-zero status.
    """
    stream(command(stage, shared), stage, root, log, env)
    if shared:
        stream([*DVC, "push", "--quiet", "--run-cache", stage], stage, root, log, env)


def fetch_runs(root: Path) -> None:
    """Fetch what DVC knows of runs on other machines, so that their stages are not run here.

    Raises `ValueError` when the clone has no default remote.
    """
    with Repo(str(root)) as repo:
        if not repo.config["core"].get("remote"):
            raise ValueError(
                f"{root} has no DVC remote to share through; name one with "
                "`dvc remote add --default store URL`"
            )
        with repo.lock:
            repo.stage_cache.pull(None)


def stream(
    words: list[str],
    stage: str,
    root: Path,
    log: logging.Logger | Any,
    env: Mapping[str, str],
    cwd: Path | None = None,
) -> None:
    """Run a command as the work of a stage of a clone, as `run` does; None means in its root."""
    # A killed DVC may have left its training alive, which would write beside the next one.
    end_stages(root, log, stage)
    settings = {**quiet_environment(), **environment(root, stage), **env}
    last: deque[str] = deque(maxlen=NUM_LAST_LINES)
    # The child stays in our process group on purpose: a cancelled flow takes it along.
    with subprocess.Popen(
        words,
        cwd=cwd or root,
        env=settings,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        assert child.stdout is not None
        # A killed DVC's training holds the pipe; without an end it would train on for nothing.
        orphans = threading.Thread(target=_end_orphans, args=(child, root, log, stage), daemon=True)
        orphans.start()
        for line in without_advice(child.stdout):
            log.info(line)
            last.append(line)
    orphans.join()
    if child.returncode:
        raise StageFailed(stage, _status_of_stage(child.returncode, last), tuple(last))


def without_advice(lines: Iterator[str] | Any) -> Iterator[str]:
    """Yield the lines of a DVC run, less blank ones and the advice to type git commands."""
    for line in lines:
        text = line.rstrip()
        if text and not _ADVICE.match(text) and not _COMMAND.match(text):
            yield text


def worth_retrying(task: Any, task_run: Any, state: Any) -> bool:
    """Say whether a failed task may run again: only when its child was killed."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and error.killed


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,  # DVC is the cache
    retries=NUM_RETRIES,
    retry_delay_seconds=2,
    retry_condition_fn=worth_retrying,
)
def run_stage(stage: str, workspace: Workspace, gpu: str | None = None) -> None:
    """Bring one stage up to date; a killed training resumes when the task is retried."""
    if workspace.leaving.is_set():
        raise StageFailed(stage, -signal.SIGTERM, ("the run was stopped before the stage began",))
    run(stage, workspace.root, get_run_logger(), on_device(gpu), workspace.shared)


def on_device(gpu: str | None) -> dict[str, str]:
    """Return the variables that show a process one device only, or none for a CPU."""
    if gpu is None:
        return {}
    # nvidia-smi counts by bus, and CUDA does when told to.
    return {"CUDA_VISIBLE_DEVICES": gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _end_orphans(
    child: subprocess.Popen[str], root: Path, log: logging.Logger | Any, stage: str
) -> None:
    """Wait for a child, and when a signal has ended it, end what it left alive of its stage."""
    if child.wait() < 0:
        end_stages(root, log, stage)


def quiet_environment() -> dict[str, str]:
    """Return the environment of a DVC command: our interpreter first, no telemetry unless asked."""
    # Stages start `python`: it has to be the one that runs this flow.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    quiet = {"DVC_NO_ANALYTICS": "true", "PYTHONUNBUFFERED": "1"}
    return {**quiet, **os.environ, "PATH": path}


def _status_of_stage(status: int, lines: deque[str]) -> int:
    """Return the status of the stage's own command where DVC reports it, else DVC's.

    A signal is the negative of its number. A shell that stays in between (dash does, bash does not)
    reports 128 plus the number.
    """
    for line in reversed(lines):
        if found := _EXIT.search(line):
            status = int(found[1])
            break
    return SHELL_SIGNAL - status if SHELL_SIGNAL < status <= SHELL_SIGNAL + MAX_SIGNAL else status
