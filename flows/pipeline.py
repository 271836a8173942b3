"""The flow `experiment`: every stage of `dvc.yaml` in the order of its dependencies.

From the root: `python -m flows.pipeline --workers 2`; on a work pool, see `prefect.yaml`.
"""

import argparse
import signal
import sys
from pathlib import Path

from prefect import flow, get_run_logger
from ruamel.yaml import YAML

from flows import devices
from flows.clone.workspace import occupied
from flows.graph import needed_by, read_graph
from flows.parameters import Gpus, Stages, Workers
from flows.schedule import bring_up_to_date, runner
from flows.stages import fetch_runs
from flows.telling import publish

ROOT = Path(__file__).resolve().parents[1]
REPORT = Path("evaluate", "report.md")


@flow(name="experiment", task_runner=runner())
def experiment(
    workers: Workers = 1,
    gpus: Gpus | None = None,
    stages: Stages | None = None,
    share: bool = False,
    root: str | None = None,
) -> None:
    """Bring the whole pipeline up to date and publish its report as an artifact.

    One stage runs at a time on each GPU: on `gpus`, or on all that the worker sees. Without a GPU,
    `workers` stages run at a time. With `stages`, only these run and what they need. With `share`,
    what another machine has run is taken from the clone's DVC remote, and what runs here is put
    there. `root` is the repository; None means the one this file lies in.
    """
    log = get_run_logger()
    folder = Path(root) if root else ROOT
    fitting = devices.beside(threads_of(folder))
    if gpus is None and workers > fitting:
        log.warning(
            "%s stages of %s threads would wait for each other on these cores: %s at a time",
            *(workers, threads_of(folder), fitting),
        )
    places = devices.places(min(workers, fitting), gpus)
    with occupied(folder, log, shared=share) as workspace:
        graph = read_graph(workspace.root)
        if share:
            fetch_runs(workspace.root)
        bring_up_to_date(needed_by(graph, stages or graph), workspace, places)
        if not stages:
            report = (workspace.root / REPORT).read_text(encoding="utf-8")
            publish(log, "report", report, description=str(REPORT))


def threads_of(root: Path) -> int:
    """Return the CPU threads of a stage, `compute.threads` of params.yaml, else 1."""
    file = root / "params.yaml"
    sections = YAML(typ="safe", pure=True).load(file.read_text()) if file.is_file() else None
    threads = ((sections or {}).get("compute") or {}).get("threads", 1)
    return threads if isinstance(threads, int) else 1  # a stage says what is wrong with it


def main() -> None:
    """Run the flow here and now, without a work pool."""
    parser = argparse.ArgumentParser(description="bring every stage of dvc.yaml up to date")
    fitting = devices.beside(threads_of(ROOT))
    told = f"stages at a time (default: as many as have compute.threads cores, here {fitting})"
    parser.add_argument("--workers", type=int, default=fitting, help=told)
    parser.add_argument("--gpus", type=int, nargs="+", help="one stage at a time on each of these")
    parser.add_argument("--stages", nargs="+", help="only these stages and what they need")
    parser.add_argument("--share", action="store_true", help="share stages by the DVC remote")
    chosen = parser.parse_args()
    if chosen.stages:
        try:
            needed_by(read_graph(ROOT), chosen.stages)
        except ValueError as error:
            parser.error(str(error))
    # Prefect repeats the signal when the run is over: as an exit it also ends the server that
    # Prefect started for this process.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    experiment(**vars(chosen))


if __name__ == "__main__":
    main()
