"""The flow `experiment`: every stage of `dvc.yaml` in the order of its dependencies.

From the root: `python -m flows.pipeline --workers 2`; on a work pool, see `prefect.yaml`.
"""

import argparse
import signal
import sys
from pathlib import Path

from prefect import flow, get_run_logger

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
    places = devices.places(workers, gpus)
    with occupied(Path(root) if root else ROOT, log, shared=share) as workspace:
        graph = read_graph(workspace.root)
        if share:
            fetch_runs(workspace.root)
        bring_up_to_date(needed_by(graph, stages or graph), workspace, places)
        if not stages:
            report = (workspace.root / REPORT).read_text(encoding="utf-8")
            publish(log, "report", report, description=str(REPORT))


def main() -> None:
    """Run the flow here and now, without a work pool."""
    parser = argparse.ArgumentParser(description="bring every stage of dvc.yaml up to date")
    parser.add_argument("--workers", type=int, default=1, help="stages at a time (default: 1)")
    parser.add_argument("--gpus", type=int, nargs="+", help="one stage at a time on each of these")
    parser.add_argument("--stages", nargs="+", help="only these stages and what they need")
    parser.add_argument("--share", action="store_true", help="share stages by the DVC remote")
    # Prefect repeats the signal when the run is over: as an exit it also ends the server that
    # Prefect started for this process.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    experiment(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
