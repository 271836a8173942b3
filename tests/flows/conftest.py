"""A toy pipeline with real DVC, and a private Prefect server."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# a -> b -> report, a -> c -> report; what b and c do is in files, so that a test can change it.
TOY = """
stages:
  a:
    cmd: echo one > a.txt
    outs: [a.txt]
  b:
    cmd: python b.py
    deps: [a.txt, b.py]
    outs: [b.txt]
  c:
    cmd: python c.py
    deps: [a.txt, c.py]
    outs: [c.txt]
  report:
    cmd: cat b.txt c.txt > evaluate/report.md
    deps: [b.txt, c.txt]
    outs: [evaluate/report.md]
"""
WRITE = "from pathlib import Path\nPath('{name}.txt').write_text('# {name}\\n')\n"


@pytest.fixture(scope="session")
def new_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project of four stages that has not run yet. Not to be changed."""
    root = tmp_path_factory.mktemp("new") / "toy"
    (root / "evaluate").mkdir(parents=True)
    (root / "dvc.yaml").write_text(TOY)
    for name in "bc":
        (root / f"{name}.py").write_text(WRITE.format(name=name))
    subprocess.run(["dvc", "init", "--quiet", "--no-scm"], cwd=root, check=True)
    return root


@pytest.fixture
def toy(new_toy: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(new_toy, tmp_path / "toy"))


@pytest.fixture(scope="session")
def server() -> Iterator[None]:
    """A Prefect server on a free port of the loopback device, with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    from flows import schedule

    eager = schedule.run_stage.with_options(retry_delay_seconds=0)
    monkeypatch.setattr(schedule, "run_stage", eager)


@pytest.fixture
def dvc() -> Callable[..., str]:
    """Run DVC in a folder and return what it printed."""

    def run(root: Path, *words: str) -> str:
        shown = subprocess.run(
            ["dvc", *words], cwd=root, check=True, capture_output=True, text=True
        )
        return shown.stdout

    return run
