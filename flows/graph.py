"""The stages of `dvc.yaml` as DVC resolves them: which need which, and what a shell will read."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

Graph = dict[str, set[str]]

_NAME = "[a-z0-9_]+"
STAGE = re.compile(rf"{_NAME}(@{_NAME}(-{_NAME})*)?")
# What commands of stages with a value from params.yaml may hold: words, flags and paths.
_SAFE = re.compile(r"[\w \n./:=@,+-]*")


def read_graph(root: Path) -> Graph:
    """Ask DVC for its stages: name -> names of the stages that must be done before it.

    Raises `ValueError` when DVC cannot read the pipeline, and for a stage whose name or whose
    command holds something from params.yaml that is not safe on a command line.
    """
    try:
        with Repo(str(root)) as repo:
            # Not their addresses, which depend on the folder that DVC was started in.
            stages, before = _stages(repo), repo.index.graph.successors
            graph = {it.name: {one.name for one in before(it)} for it in stages}
            commands = {it.name: _command(it.cmd) for it in stages}
    except DvcException as error:
        raise ValueError(f"DVC cannot read the pipeline: {_words(error)}") from None
    _check(graph, commands)
    return graph


def _stages(repo: Repo) -> list[Any]:
    return repo.index.stages  # all in dvc.yaml, so they have names


def read_command(root: Path, stage: str) -> str:
    """Return the command of one stage, with the values from params.yaml in it."""
    with Repo(str(root)) as repo:
        return next(_command(it.cmd) for it in _stages(repo) if it.name == stage)


def needed_by(graph: Mapping[str, set[str]], stages: Collection[str]) -> Graph:
    """Return the part of a graph that some stages need, themselves included.

    Raises `ValueError` for a stage that is not there, and says which are.
    """
    unknown = [stage for stage in stages if stage not in graph]
    if unknown:
        raise ValueError(f"unknown stages {', '.join(unknown)}; there is {', '.join(graph)}")
    needed: set[str] = set()
    waiting = list(stages)
    while waiting:
        stage = waiting.pop()
        if stage not in needed:
            needed.add(stage)
            waiting.extend(graph[stage])
    return {stage: before for stage, before in graph.items() if stage in needed}


def ready(graph: Mapping[str, set[str]], done: set[str], started: set[str]) -> list[str]:
    """Return the stages that may start now, in the order of the graph."""
    return [name for name, before in graph.items() if name not in started and before <= done]


def _check(graph: Graph, commands: Mapping[str, str]) -> None:
    unsafe = sorted(name for name in graph if not STAGE.fullmatch(name))
    if unsafe:
        raise ValueError(
            f"stage names {', '.join(unsafe)} are not allowed; names in params.yaml use lower-case "
            "letters, digits and _ only"
        )
    for name, command in commands.items():
        if "@" in name and not _SAFE.fullmatch(command):
            wrong = sorted({letter for letter in command if not _SAFE.fullmatch(letter)})
            raise ValueError(
                f"the command of stage {name} would hold {' '.join(wrong)}, which a shell reads; "
                "names in params.yaml use lower-case letters, digits and _ only"
            )


def _command(lines: str | list[str] | None) -> str:
    return lines if isinstance(lines, str) else "\n".join(lines or [])


def _words(error: BaseException) -> str:
    """Return what an error and those behind it say, in one line."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(" ".join(str(cause).split()))
        cause = cause.__cause__
    return ": ".join(dict.fromkeys(filter(None, said)))
