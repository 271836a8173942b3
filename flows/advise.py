"""The flow `advise`: make the sets, search for the rows that help, publish what it says.

From the root: `python -m flows.advise --minutes 60`; on a work pool, see `prefect.yaml`.
"""

import argparse
import signal
import sys
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows import devices
from flows.clone.workspace import Workspace, occupied
from flows.graph import needed_by, read_graph
from flows.parameters import Gpus, Minutes, Workers
from flows.pipeline import ROOT, threads_of
from flows.schedule import bring_up_to_date, runner
from flows.stages import NUM_RETRIES, StageFailed, on_device, stream, worth_retrying
from flows.telling import publish

ROWS = "rows"  # the last stage before segmenters: sets, filters and rows are there then
STAGE = "advise"
MODULE = "evaluate.stages.advise"
ADVICE = Path("artifacts", "advice", "advice.md")


@flow(name="advise", task_runner=runner())
def advise(
    minutes: Minutes | None = None,
    workers: Workers = 1,
    gpus: Gpus | None = None,
    root: str | None = None,
) -> None:
    """Bring sets up to date, search on held-out groups for the row that helps, confirm it.

    `minutes` stand for those of `advise` in params.yaml: of the search and its confirmation, which
    use one device; the sets are made before them. A run that was broken off goes on when it is
    asked for again.
    """
    log = get_run_logger()
    folder = Path(root) if root else ROOT
    places = devices.places(min(workers, devices.beside(threads_of(folder))), gpus)
    with occupied(folder, log) as workspace:
        words = [sys.executable, "-m", MODULE]
        words += ["--minutes", str(minutes)] if minutes else []
        run_advisor.submit([*words, "--check"], workspace, None).result()
        bring_up_to_date(needed_by(read_graph(workspace.root), [ROWS]), workspace, places)
        run_advisor.submit(words, workspace, places[0]).result()
        text = (workspace.root / ADVICE).read_text(encoding="utf-8")
        publish(log, "advice", text, description=str(ADVICE))


@task(
    task_run_name=STAGE,
    cache_policy=NO_CACHE,
    retries=NUM_RETRIES,
    retry_delay_seconds=2,
    retry_condition_fn=worth_retrying,
)
def run_advisor(words: list[str], workspace: Workspace, gpu: str | None) -> None:
    """Run the advisor's stage; trials of a killed try stay."""
    if workspace.leaving.is_set():
        raise StageFailed(STAGE, -signal.SIGTERM, ("the run was stopped before this began",))
    stream(words, STAGE, workspace.root, get_run_logger(), on_device(gpu))


def main() -> None:
    """Run the flow here and now, without a work pool."""
    parser = argparse.ArgumentParser(description="say which synthetic pairs help, if any")
    told = "minutes of search and confirmation (default: advise.minutes of params.yaml)"
    parser.add_argument("--minutes", type=int, help=told)
    fitting = devices.beside(threads_of(ROOT))
    parser.add_argument(
        "--workers", type=int, default=fitting, help="stages at a time, of the sets"
    )
    parser.add_argument("--gpus", type=int, nargs="+", help="devices to use")
    # Prefect repeats the signal when the run is over, see flows/pipeline.py.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    advise(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
