"""What every test gets: no telemetry, no display, nothing written into the user's folders."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports Prefect or matplotlib: both read their settings at import.
os.environ.update(
    DO_NOT_TRACK="1",
    DVC_NO_ANALYTICS="true",
    HF_HUB_OFFLINE="1",
    MPLBACKEND="Agg",
    # Stages start `python`, tests `dvc` and `prefect`: those beside the running interpreter.
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    PREFECT_HOME=tempfile.mkdtemp(prefix="scene-palette-prefect-"),
    PREFECT_LOGGING_EXTRA_LOGGERS="",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the flows last: a process that is forked after Prefect's threads started ends with 1.

    Loaders fork their workers, and a worker that ends so fails the test it belongs to. Stages never
    run in the process of a flow.
    """
    items.sort(key=lambda item: "flows" in item.path.parts)


def pytest_unconfigure() -> None:
    """Remove the private folder of Prefect."""
    shutil.rmtree(os.environ["PREFECT_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
