"""What the endurance run compares, and when it kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bench.endurance import LAST_KILL, VICTIMS, moments, same_report

LOCK = """\
schema: '2.0'
stages:
  report:
    cmd: python report.py
    outs:
    - path: evaluate/report.md
      md5: {page}
    - path: evaluate/report.html
      md5: {page}
    - path: artifacts/pairs
      md5: {pairs}
"""


def test_reports_are_the_same_but_for_wall_times(tmp_path: Path) -> None:
    calm = tmp_path / "calm"
    (calm / "evaluate").mkdir(parents=True)
    (calm / "evaluate" / "report.json").write_text(json.dumps({"miou": 40.0}))
    (calm / "dvc.lock").write_text(LOCK.format(page="a", pairs="b"))
    rough = Path(shutil.copytree(calm, tmp_path / "rough"))
    (rough / "dvc.lock").write_text(LOCK.format(page="other", pairs="b"))
    assert same_report(calm, rough) == []
    (rough / "dvc.lock").write_text(LOCK.format(page="a", pairs="c"))
    (rough / "evaluate" / "report.json").write_text(json.dumps({"miou": 40.1}))
    assert same_report(calm, rough) == ["report.json: miou", "artifacts/pairs: other bytes"]


def test_moments_are_random_by_seed_and_every_victim_has_its_turn() -> None:
    plan = moments(6, 100.0, seed=1)
    assert plan == moments(6, 100.0, seed=1) != moments(6, 100.0, seed=2)
    times = [at for at, _ in plan]
    assert times == sorted(times)
    assert 0.0 < times[0] < times[-1] < 100.0 * LAST_KILL
    assert {victim for _, victim in plan} == set(VICTIMS)


@pytest.mark.slow
def test_nothing_outlives_a_run_that_is_ended(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.endurance", "--preset", "tiny", "--kills", "1"]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "TMPDIR": str(tmp_path)})

    def below() -> list[psutil.Process]:
        return psutil.Process(process.pid).children(recursive=True)

    def at_work() -> bool:
        with suppress(psutil.Error):
            return any("data.sources.ingest" in " ".join(it.cmdline()) for it in below())
        return False

    end = time.monotonic() + 300
    while not at_work() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    started = below()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    gone = (it for it in started if not it.is_running() or it.status() == psutil.STATUS_ZOMBIE)
    assert started and list(gone) == started
