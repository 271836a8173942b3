"""One run at a time in a clone, and what a kill left behind is put right."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows.clone.mending import mend, own_params, write_params
from flows.clone.workspace import WorkspaceBusy, end_stages, environment, occupied

LOG = logging.getLogger("test")
HOLD = """
import logging, sys, time
from pathlib import Path
from flows.clone.workspace import occupied
with occupied(Path(sys.argv[1]), logging.getLogger("holder")):
    Path(sys.argv[1], "held").touch()
    time.sleep(600)
"""

CHANGE = """
import logging, os, sys
from pathlib import Path
from flows.clone.mending import own_params, write_params
with own_params(Path(sys.argv[1]), logging.getLogger("changer")):
    write_params(Path(sys.argv[1]), sys.argv[2])
    os._exit(9)
"""


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_clone_belongs_to_one_run_and_is_free_when_that_is_killed(toy: Path, root: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(toy)], cwd=root)
    try:
        wait_for((toy / "held").exists)
        words = rf"another run \(process {holder.pid}\); wait"
        with pytest.raises(WorkspaceBusy, match=words), occupied(toy, LOG, patience=0.3):
            pass
    finally:
        holder.kill()
        holder.wait()
    with occupied(toy, LOG, patience=0.0) as workspace:
        assert workspace.root == toy
    with occupied(toy, LOG, patience=0.0):
        pass


def test_a_folder_without_a_pipeline_is_no_clone(tmp_path: Path) -> None:
    words = r"has no dvc\.yaml; name the root of a clone"
    with pytest.raises(ValueError, match=words), occupied(tmp_path, LOG):
        pass
    assert list(tmp_path.iterdir()) == []


def test_ending_stages_takes_the_stubborn_ones_and_only_those_of_the_clone(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.clone.workspace.GRACE", 0.5)
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    )
    marks = [environment(toy, "b"), environment(toy, "bb"), environment(tmp_path, "b")]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", deaf], env={**os.environ, **mark}, stdout=subprocess.PIPE
        )
        for mark in marks
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        end_stages(toy, LOG, "b")
        assert started[0].wait(timeout=10) == -signal.SIGKILL
        assert [process.poll() for process in started[1:]] == [None, None]
        end_stages(toy, LOG)
        assert started[1].wait(timeout=10) == -signal.SIGKILL
        assert started[2].poll() is None
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_when_a_run_breaks_off_its_stages_end(toy: Path) -> None:
    with pytest.raises(KeyboardInterrupt), occupied(toy, LOG) as workspace:
        child = subprocess.Popen(["sleep", "600"], env={**os.environ, **environment(toy, "b")})
        raise KeyboardInterrupt
    assert workspace.leaving.is_set()
    assert child.wait(timeout=1) == -signal.SIGTERM


def test_a_dvc_lock_cut_off_anywhere_is_put_back_and_nothing_runs_again(
    toy: Path, dvc: Callable[..., str]
) -> None:
    dvc(toy, "repro", "a", "b")
    mend(toy, LOG)
    kept = (toy / "dvc.lock").read_bytes()
    dvc(toy, "repro")
    whole = (toy / "dvc.lock").read_bytes()
    # In the middle of a key, of an entry, of the last hash.
    for length in (0, 30, len(whole) // 2, len(whole) - 20):
        (toy / "dvc.lock").write_bytes(whole[:length])
        mend(toy, LOG)
        assert (toy / "dvc.lock").read_bytes() == kept
    output = dvc(toy, "repro")
    assert "> " not in output, output
    assert (toy / "dvc.lock").read_bytes() == whole


def test_a_table_of_readers_that_a_kill_left_does_not_block_dvc(
    toy: Path, dvc: Callable[..., str]
) -> None:
    dvc(toy, "repro", "a")
    readers = toy / ".dvc" / "tmp" / "rwlock"
    readers.write_text('{"write": {"')
    mend(toy, LOG)
    dvc(toy, "repro", "b")
    # A number that DVC had before the machine was started again now belongs to another process.
    mine = {"pid": os.getppid(), "cmd": "dvc repro c"}
    assert "dvc" not in psutil.Process(os.getppid()).name()
    readers.write_text(json.dumps({"write": {str(toy / "c.txt"): mine}, "read": {}}))
    mend(toy, LOG)
    dvc(toy, "repro", "c")


def test_numbers_changed_for_an_experiment_are_put_back_also_after_a_kill(
    toy: Path, root: Path
) -> None:
    params = toy / "params.yaml"
    params.write_text("a: 1  # mine\n")
    with pytest.raises(RuntimeError), own_params(toy, LOG):
        write_params(toy, "a: 2\n")
        assert params.read_text() == "a: 2\n"
        raise RuntimeError
    assert params.read_text() == "a: 1  # mine\n"

    def killed_after(text: str) -> None:
        command = [sys.executable, "-c", CHANGE, str(toy), text]
        assert subprocess.run(command, cwd=root, check=False).returncode == 9

    killed_after("a: 3\n")
    mend(toy, LOG)
    assert params.read_text() == "a: 1  # mine\n"
    # What a user wrote after the kill is not touched.
    killed_after("a: 3\n")
    params.write_text("a: 4  # mine too\n")
    mend(toy, LOG)
    assert params.read_text() == "a: 4  # mine too\n"
    mend(toy, LOG)
