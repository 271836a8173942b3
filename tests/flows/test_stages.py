"""A task is one stage: its log, its errors, what it leaves behind."""

import contextlib
import logging
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from flows import stages
from flows.stages import StageFailed


class Lines(list):
    """A log that keeps its lines."""

    def info(self, line: str) -> None:
        self.append(line)

    warning = info


def test_run_streams_the_log_and_leaves_advice_out(toy: Path) -> None:
    (toy / "b.py").write_text("print('step 1')\nopen('b.txt', 'w').write('b')\nprint('step 2')\n")
    log = Lines()
    stages.run("a", toy, log, {})
    stages.run("b", toy, log, {})
    assert (toy / "b.txt").read_text() == "b"
    assert log.index("step 1") < log.index("step 2")
    assert not [line for line in log if "git add" in line or "dvc push" in line or not line.strip()]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    ("ending", "status", "killed"),
    [
        ("raise SystemExit(2)", 2, False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, True),
    ],
)
def test_only_a_killed_child_is_worth_a_retry(
    toy: Path, ending: str, status: int, killed: bool, shell: str
) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text(f"print('last words', flush=True)\n{ending}\n")
    with pytest.raises(StageFailed) as caught:
        stages.run("b", toy, logging.getLogger("test"), {"SHELL": shell})
    assert (caught.value.stage, caught.value.status, caught.value.killed) == (
        "b",
        status,
        killed,
    )
    assert "stage b failed" in str(caught.value)
    assert "last words" in str(caught.value)


def test_only_the_last_lines_of_a_long_log_are_in_the_error(toy: Path) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text("print(*(f'line-{i}' for i in range(500)), sep='\\n')\nexit(1)\n")
    with pytest.raises(StageFailed) as caught:
        stages.run("b", toy, Lines(), {})
    assert len(caught.value.lines) == stages.NUM_LAST_LINES
    assert "line-499" in str(caught.value)
    assert "line-0" not in caught.value.lines


def test_a_stage_gets_its_environment(toy: Path) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text(
        "import os\nopen('b.txt', 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])\n"
    )
    stages.run("b", toy, Lines(), {"CUDA_VISIBLE_DEVICES": "3"})
    assert (toy / "b.txt").read_text() == "3"


def test_a_killed_dvc_takes_its_training_along_and_the_next_try_has_the_stage_to_itself(
    toy: Path,
) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text(
        "import os, time\n"
        "if not os.path.exists('pid'):\n"
        "    open('pid', 'w').write(f'{os.getpid()} {os.getppid()} ')\n"
        "    time.sleep(600)\n"
        "open('b.txt', 'w').write('second')\n"
    )
    log = Lines()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stages.run, "b", toy, log, {})
        while not (toy / "pid").exists() or (toy / "pid").read_text().count(" ") < 2:
            assert not first.done(), log
            time.sleep(0.01)
        training, above = map(psutil.Process, map(int, (toy / "pid").read_text().split()))
        # A shell may stand between DVC and the training.
        dvc = above if "dvc" in above.cmdline() else above.parent()
        assert dvc is not None and "dvc" in dvc.cmdline()
        dvc.kill()
        error = first.exception(timeout=60)
    assert isinstance(error, StageFailed)
    assert error.killed
    with contextlib.suppress(psutil.NoSuchProcess):
        assert training.status() == psutil.STATUS_ZOMBIE
    assert [line for line in log if line.endswith("still alive of b")]
    stages.run("b", toy, Lines(), {})
    assert (toy / "b.txt").read_text() == "second"


def test_what_one_machine_has_run_another_takes_from_the_remote(
    toy: Path, tmp_path: Path, dvc
) -> None:
    with pytest.raises(ValueError, match="has no DVC remote to share through"):
        stages.fetch_runs(toy)
    dvc(toy, "remote", "add", "--default", "store", str(tmp_path / "store"))
    other = Path(shutil.copytree(toy, tmp_path / "other"))
    for stage in "ab":
        stages.run(stage, toy, Lines(), {}, shared=True)
    (toy / "b.txt").write_text("not what was shared")
    log = Lines()
    stages.fetch_runs(other)
    for stage in "ab":
        stages.run(stage, other, log, {}, shared=True)
    # What depends on nothing, DVC runs anew in a new clone; no stage of ours is like that.
    assert [line for line in log if line.startswith("> ")] == ["> echo one > a.txt"]
    assert (other / "b.txt").read_text() == "# b\n"
