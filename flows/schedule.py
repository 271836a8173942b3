"""Run the stages of a graph, each as soon as what it needs is done and a place is free."""

import queue
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.clone.workspace import Workspace
from flows.graph import Graph, ready
from flows.parameters import MAX_PLACES
from flows.stages import StageFailed, run_stage
from flows.telling import Bar


class ExperimentFailed(RuntimeError):
    """One or more stages failed; the message names them and what did not run because of them."""


def runner() -> Any:  # its own type is not what `flow` says it takes
    """Return the task runner of a flow that calls `bring_up_to_date`.

    The number of stages at a time is bounded by places, not by the runner: a stage is only
    submitted when it can start at once, so nothing is left to start after a cancelled flow.
    """
    return ThreadPoolTaskRunner(max_workers=MAX_PLACES)


def bring_up_to_date(
    graph: Graph, workspace: Workspace, places: Sequence[str | None], key: str = "stages"
) -> None:
    """Run every stage of a graph that DVC finds stale, one at a time on each place.

    Raises `ExperimentFailed` after all stages that can run have run.
    """
    log = get_run_logger()
    bar = Bar(log, key, f"{len(graph)} stages, up to date or done")
    ended: queue.SimpleQueue[tuple[str, str | None, PrefectFuture[None]]] = queue.SimpleQueue()
    free = list(places)
    done: set[str] = set()
    started: set[str] = set()
    failed: dict[str, BaseException] = {}
    while True:
        for stage in ready(graph, done, started)[: len(free)]:
            place = free.pop(0)
            future = run_stage.submit(stage, workspace, place)
            future.add_done_callback(lambda it, at=(stage, place): ended.put((*at, it)))
            started.add(stage)
        if len(free) == len(places):
            break
        stage, place, future = ended.get()
        free.append(place)
        error = future.result(raise_on_failure=False)
        if isinstance(error, BaseException):
            failed[stage] = error
            log.error("stage %s failed; stages that need it will not run", stage)
        else:
            done.add(stage)
            bar.show(100.0 * len(done) / len(graph))
    bar.finish(100.0 * len(done) / max(len(graph), 1))
    if failed:
        raise ExperimentFailed(_explain(failed, [name for name in graph if name not in started]))


def _explain(failed: Mapping[str, BaseException], left_out: list[str]) -> str:
    lines = [f"failed: {', '.join(failed)}"]
    if left_out:
        lines.append(f"not run, because they need a failed stage: {', '.join(left_out)}")
    for stage, error in failed.items():
        lines.append(str(error) if isinstance(error, StageFailed) else f"stage {stage}: {error!r}")
    return "\n".join(lines)
