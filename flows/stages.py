"""One DVC stage as one Prefect task, and the graph of stages as DVC knows it.

DVC decides whether a stage runs, Prefect decides when and where. The functions without a
decorator need no Prefect run and hold what there is to test.
"""

import logging
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

STAGE = re.compile(r"^[a-z0-9_]+(@[a-z0-9_]+(-[a-z0-9_]+)*)?$")
NUM_LAST_LINES = 20
NUM_RETRIES = 2
SIGKILL = 9
SHELL_SIGNAL = 128
MAX_SIGNAL = 64

_NODE = re.compile(r'^"([^"]+)"(?: -> "([^"]+)")?;$')
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
        return self.status == -SIGKILL


def command(stage: str) -> list[str]:
    """Return the command that brings one stage up to date, its upstream left alone."""
    # `--wait-for-lock` belongs before `repro`: other stages may hold the repository for a moment.
    return [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]


def read_graph(root: Path) -> dict[str, set[str]]:
    """Ask DVC for its stages: name -> names of the stages that must be done before it.

    Raises `ValueError` for a stage whose name is not safe on a command line.
    """
    dvc = [sys.executable, "-m", "dvc", "dag", "--dot"]
    shown = subprocess.run(
        dvc, cwd=root, env=_environment(), capture_output=True, text=True, check=False
    )
    if shown.returncode:
        raise ValueError(f"DVC cannot read the pipeline: {shown.stderr.strip()}")
    graph = parse_graph(shown.stdout)
    unsafe = sorted(name for name in graph if not STAGE.match(name))
    if unsafe:
        raise ValueError(
            f"stage names {', '.join(unsafe)} are not allowed; names in params.yaml use lower-case "
            "letters, digits and _ only"
        )
    return graph


def parse_graph(dot: str) -> dict[str, set[str]]:
    """Read the output of `dvc dag --dot`: name -> names of its direct upstream stages."""
    graph: dict[str, set[str]] = {}
    for line in dot.splitlines():
        if found := _NODE.match(line.strip()):
            before, after = found.groups()
            graph.setdefault(before, set())
            if after:
                graph.setdefault(after, set()).add(before)
    return graph


def run(stage: str, root: Path, log: logging.Logger | Any, env: Mapping[str, str]) -> None:
    """Bring one stage up to date and stream its output to `log`.

    Raises `StageFailed` with the last lines when it ends with a non-zero status.
    """
    last: deque[str] = deque(maxlen=NUM_LAST_LINES)
    # The child stays in our process group on purpose: a cancelled flow takes it along.
    with subprocess.Popen(
        command(stage),
        cwd=root,
        env=_environment(env),
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        assert child.stdout is not None
        for line in without_advice(child.stdout):
            log.info(line)
            last.append(line)
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
def run_stage(stage: str, root: str, gpu: int | None = None) -> None:
    """Bring one stage up to date; a killed training resumes when the task is retried."""
    env = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": str(gpu)}
    run(stage, Path(root), get_run_logger(), env)


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


def _environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    # Stages start `python`: it has to be the one that runs this flow.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    quiet = {"DVC_NO_ANALYTICS": "true", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **quiet, "PATH": path, **(env or {})}
