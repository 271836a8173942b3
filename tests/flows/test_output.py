"""A run goes on when the worker that read its output is gone."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = """
import sys, time
from pathlib import Path
from rich.console import Console
from flows.clone.workspace import outlive_readers
if sys.argv[2] == "watched":
    outlive_readers()
print("started", flush=True)
while not Path(sys.argv[1], "go").exists():
    time.sleep(0.01)
Console(stderr=True).print("nobody reads this")
print("nor this", flush=True)
Path(sys.argv[1], "done").touch()
"""


@pytest.mark.parametrize(("watched", "ends_well"), [("watched", True), ("plain", False)])
def test_a_run_outlives_whoever_read_its_output(tmp_path, watched, ends_well):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), watched]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        assert run.stdout.readline() == b"started\n"
        pipes = (run.stdout, run.stderr)
        for pipe in pipes:
            pipe.close()
        if watched == "watched":  # a moment, in which nothing is printed
            while psutil.Process(run.pid).num_threads() > 1:
                time.sleep(0.01)
        (tmp_path / "go").touch()
        run.wait(timeout=60)
    assert (tmp_path / "done").exists() == ends_well
    assert (run.returncode == 0) == ends_well
