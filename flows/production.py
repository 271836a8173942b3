"""The flow `produce`: as many pairs of one recipe as are asked for, in a folder of their own.

The experiment has its own, smaller set of every recipe; to change `produce.num_pairs` for all of
them would train every segmenter anew. So the models of the recipe are brought up to date by DVC,
and the command of its stage runs outside it, with another `--out` and its own params.yaml.
"""

import io
import re
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from ruamel.yaml import YAML

from flows import devices
from flows.clone.mending import PARAMS
from flows.clone.workspace import Workspace, occupied
from flows.graph import needed_by, read_command, read_graph
from flows.parameters import Engine, Folder, Gpus, NumPairs, NumProcesses, RecipeName
from flows.pipeline import ROOT
from flows.schedule import bring_up_to_date, runner
from flows.stages import NUM_RETRIES, StageFailed, on_device, stream, worth_retrying
from flows.telling import Bar

PRODUCED = Path("artifacts", "produced")
PAIRS, REPAINTED = "pairs", "repainted"
SECONDS_BETWEEN_UPDATES = 5.0

_COUNT = re.compile(r"\b(\d+)/(\d+) pairs\b")


@flow(name="produce", task_runner=runner())
def produce(
    recipe: RecipeName,
    num_pairs: NumPairs | None = None,
    engine: Engine | None = None,
    workers: NumProcesses | None = None,
    out: Folder | None = None,
    gpus: Gpus | None = None,
    root: str | None = None,
) -> None:
    """Make pairs of one recipe in OUT/pairs; its generators are trained first where needed.

    `num_pairs`, `engine` and `workers` stand for those of the section `produce`; None leaves the
    number of params.yaml. OUT is artifacts/produced/RECIPE unless given; a run that was broken off
    goes on when it is asked for again. OUT/params.yaml says what the pairs were made with.
    """
    log = get_run_logger()
    places = devices.places(1, gpus)
    with occupied(Path(root) if root else ROOT, log) as workspace:
        directory = workspace.root.resolve()
        folder = directory / (out or PRODUCED / recipe)
        graph = read_graph(directory)
        stage = f"produce@{recipe}"
        if stage not in graph:
            known = [name.partition("@")[2] for name in graph if name.startswith("produce@")]
            raise ValueError(f"unknown recipe {recipe!r}; params.yaml has {', '.join(known)}")
        check_folder(folder)
        numbers = {"num_pairs": num_pairs, "engine": engine, "workers": workers}
        text = params_with(directory, {key: it for key, it in numbers.items() if it is not None})
        bring_up_to_date(needed_by(graph, graph[stage]), workspace, places)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PARAMS).write_text(text, encoding="utf-8")
        words = command_for(read_command(directory, stage), directory, folder)
        every = [place for place in places if place is not None]
        run_production.submit(
            words, stage, workspace, folder, ",".join(every) if every else None
        ).result()
        log.info(f"pairs are in {folder / PAIRS}")


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,
    retries=NUM_RETRIES,
    retry_delay_seconds=2,
    retry_condition_fn=worth_retrying,
)
def run_production(
    words: list[str], stage: str, workspace: Workspace, folder: Path, gpus: str | None
) -> None:
    """Make the pairs; what a killed try has made stays."""
    if workspace.leaving.is_set():
        raise StageFailed(stage, -signal.SIGTERM, ("the run was stopped before this began",))
    log = get_run_logger()
    watched = _Watched(log, Bar(log, "pairs", f"pairs made in {folder}"))
    root = workspace.root.resolve()
    env = {"PYTHONPATH": str(root), "DVC_ROOT": str(root), **on_device(gpus)}
    stream(words, stage, root, watched, env, cwd=folder)
    watched.bar.finish(100.0)


class _Watched:
    """A log that shows in a progress artifact how many pairs a line says are made."""

    def __init__(self, log: Any, bar: Bar) -> None:
        self.bar = bar
        self._log = log
        self._shown = time.monotonic()

    def info(self, line: str) -> None:
        self._log.info(line)
        found = _COUNT.search(line)
        if found and time.monotonic() > self._shown + SECONDS_BETWEEN_UPDATES:
            self._shown = time.monotonic()
            self.bar.show(100.0 * int(found[1]) / max(int(found[2]), 1))

    def warning(self, line: str) -> None:
        self._log.warning(line)


def check_folder(folder: Path) -> None:
    """Raise `ValueError` unless a run may write into a folder: what is there would be lost."""
    if folder.is_file():
        raise ValueError(f"{folder} is a file; name a folder")
    ours = {PAIRS, REPAINTED, str(PARAMS), "artifacts"}  # timings of the stage are in the last
    foreign = sorted(it.name for it in folder.glob("[!.]*") if it.name not in ours)
    if foreign:
        raise ValueError(f"{folder} holds {foreign[0]!r}; name a folder that is empty or new")


def params_with(root: Path, numbers: Mapping[str, Any]) -> str:
    """Return params.yaml with other numbers in `produce`, comments kept."""
    yaml = YAML()
    yaml.width = 4096
    params = yaml.load((root / PARAMS).read_text(encoding="utf-8"))
    params["produce"].update(numbers)
    text = io.StringIO()
    yaml.dump(params, text)
    return text.getvalue()


def command_for(command: str, root: Path, folder: Path) -> list[str]:
    """Return the words of a stage's command for another folder, every path made absolute."""
    outs = {"--out": folder / PAIRS, "--repainted": folder / REPAINTED}
    shell, script, *words = shlex.split(command)
    assert (shell, script) == ("sh", "flows/stage.sh")
    values = [
        str(outs.get(flag, root / word if "/" in word else word))
        for flag, word in zip(["", *words], words, strict=False)
    ]
    return [sys.executable, "-m", *values]
