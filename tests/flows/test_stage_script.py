"""A stage starts in the environment of the project, whatever python is first on the path."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# A python with the packages, or without: it says which one it is and what it was asked.
PYTHON = '#!/bin/sh\n[ "$1" = -c ] && exit {lacks}\necho {name} "$@"\n'


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write a python into a folder below tmp_path."""

    def write(folder: str, *, lacks: int) -> Path:
        path = tmp_path / folder / "python"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PYTHON.format(lacks=lacks, name=folder))
        path.chmod(0o755)
        return path.parent

    return write


def started(root: Path, cwd: Path, *path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", root / "flows" / "stage.sh", "data.sources.ingest", "--out", "a b"],
        cwd=cwd,
        env={"PATH": os.pathsep.join(map(str, path))} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_python_on_the_path_is_taken_where_it_has_the_packages(root, tmp_path, put) -> None:
    put(".venv/bin", lacks=0)
    done = started(root, tmp_path, put("active", lacks=0))
    assert done.stdout == "active -m data.sources.ingest --out a b\n"


def test_without_an_activated_environment_that_of_the_clone_is_taken(root, tmp_path, put) -> None:
    put(".venv/bin", lacks=0)
    done = started(root, tmp_path, put("system", lacks=1))
    assert done.stdout == ".venv/bin -m data.sources.ingest --out a b\n"
    (tmp_path / "empty").mkdir()
    experiment = tmp_path / "experiment"
    experiment.mkdir()
    done = started(root, experiment, tmp_path / "empty", DVC_ROOT=str(tmp_path))
    assert done.stdout == ".venv/bin -m data.sources.ingest --out a b\n"


def test_where_no_python_has_the_packages_one_line_says_so(root, tmp_path, put) -> None:
    done = started(root, tmp_path, put("system", lacks=1))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: the python on the path has none of the packages")
    assert done.stderr.count("\n") == 1


def test_a_module_is_started_by_the_python_of_these_tests(root) -> None:
    words = ["/bin/sh", "flows/stage.sh", "data.tools.verify", "--help"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path}
    done = subprocess.run(words, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "data.tools.verify" in done.stdout
