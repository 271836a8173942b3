"""The flow `experiment`: every stage of `dvc.yaml` in the order of its dependencies.

From the root: `python -m flows.pipeline --workers 2`; on a work pool, see `prefect.yaml`.
"""

import argparse
import queue
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.stages import StageFailed, read_graph, run_stage

ROOT = Path(__file__).resolve().parents[1]
REPORT = Path("evaluate", "report.md")
MAX_WORKERS = 64


class ExperimentFailed(RuntimeError):
    """One or more stages failed; the message names them and what did not run because of them."""


# The number of stages at a time is bounded below, not by the runner: a stage is only submitted
# when it can start at once, so nothing is left to start after a cancelled flow.
@flow(name="experiment", task_runner=ThreadPoolTaskRunner(max_workers=MAX_WORKERS))
def experiment(workers: int = 1, gpus: list[int] | None = None, root: str | None = None) -> None:
    """Bring the whole pipeline up to date and publish its report as an artifact.

    `workers` stages run at a time. With `gpus`, one stage runs on each of these devices instead.
    `root` is the repository; None means the one this file lies in.
    """
    places: list[int | None] = [*gpus] if gpus else [None] * workers
    if not 1 <= len(places) <= MAX_WORKERS:
        raise ValueError(f"{len(places)} workers are not allowed; use 1 to {MAX_WORKERS}")
    if len(places) != len(set(places)) and gpus:
        raise ValueError(f"gpus {gpus} names a device twice; name each device once")
    directory = Path(root) if root else ROOT
    graph = read_graph(directory)
    progress = create_progress_artifact(
        0.0, key="stages", description=f"{len(graph)} stages, up to date or done"
    )
    failed, left_out = _run_all(graph, directory, places, progress)
    if failed:
        raise ExperimentFailed(_explain(failed, left_out))
    report = (directory / REPORT).read_text(encoding="utf-8")
    create_markdown_artifact(report, key="report", description="evaluate/report.md")


def ready(graph: Mapping[str, set[str]], done: set[str], started: set[str]) -> list[str]:
    """Return the stages that may start now, in the order of the graph."""
    return [name for name, before in graph.items() if name not in started and before <= done]


def _run_all(
    graph: Mapping[str, set[str]], root: Path, places: list[int | None], progress: UUID
) -> tuple[dict[str, BaseException], list[str]]:
    """Run every stage that can run; return the failed ones and the ones left out."""
    log = get_run_logger()
    ended: queue.SimpleQueue[tuple[str, int | None, PrefectFuture[None]]] = queue.SimpleQueue()
    free = list(places)
    done: set[str] = set()
    started: set[str] = set()
    failed: dict[str, BaseException] = {}
    while True:
        for stage in ready(graph, done, started)[: len(free)]:
            place = free.pop(0)
            future = run_stage.submit(stage, str(root), place)
            future.add_done_callback(lambda it, at=(stage, place): ended.put((*at, it)))
            started.add(stage)
        if len(free) == len(places):
            return failed, [name for name in graph if name not in started]
        stage, place, future = ended.get()
        free.append(place)
        error = future.result(raise_on_failure=False)
        if isinstance(error, BaseException):
            failed[stage] = error
            log.error("stage %s failed; stages that need it will not run", stage)
        else:
            done.add(stage)
            update_progress_artifact(progress, 100.0 * len(done) / len(graph))


def _explain(failed: Mapping[str, BaseException], left_out: list[str]) -> str:
    lines = [f"failed: {', '.join(failed)}"]
    if left_out:
        lines.append(f"not run, because they need a failed stage: {', '.join(left_out)}")
    for stage, error in failed.items():
        lines.append(str(error) if isinstance(error, StageFailed) else f"stage {stage}: {error!r}")
    return "\n".join(lines)


def main() -> None:
    """Run the flow here and now, without a work pool."""
    parser = argparse.ArgumentParser(description="bring every stage of dvc.yaml up to date")
    parser.add_argument("--workers", type=int, default=1, help="stages at a time (default: 1)")
    parser.add_argument("--gpus", type=int, nargs="+", help="one stage at a time on each of these")
    arguments = parser.parse_args()
    experiment(workers=arguments.workers, gpus=arguments.gpus)


if __name__ == "__main__":
    main()
