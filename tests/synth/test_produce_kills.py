"""The stage as a process that is killed, and every number of workers: always the same set."""

import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from data.pairs.shards import PairSet
from data.tools import verify

pytestmark = pytest.mark.slow

NUMBERS = "batch_size: 4, seed: 0, pairs_per_shard: 8"
REPAINT = "repaint: {num_layouts: 3, num_images: 2}"


@pytest.fixture
def start(artifacts: Path, root: Path, tmp_path: Path):
    """Return a function that starts the stage with an engine, in `tmp_path`."""
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])

    def begin(engine: str, **environment: str) -> subprocess.Popen:
        (tmp_path / "params.yaml").write_text(
            f"compute: {{precision: fp32, channels_last: true, threads: 1}}\n"
            f"produce: {{{NUMBERS}, {REPAINT}, {engine}}}\n"
            "sets:\n  palette: {layouts: semantic_palette, painter: oasis, num_pairs: 60}\n"
        )
        paths = {"train": "train", "palette": "palette", "painter": "oasis"}
        paths |= {"layout": "semantic_palette"}
        flags = [part for key, name in paths.items() for part in (f"--{key}", artifacts / name)]
        command = [sys.executable, "-m", "synth.stages.produce", "--set", "palette", *flags]
        return subprocess.Popen(
            [*command, "--out", "pairs", "--repainted", "few"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begin


def finished(folder: Path) -> list[Path]:
    return sorted(folder.glob(".scratch/*/[a-z]*/manifest.json"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = sorted([*(folder / "pairs").iterdir(), *(folder / "few").iterdir()])
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def wait_for_parts(process: subprocess.Popen, folder: Path, count: int) -> None:
    while len(finished(folder)) < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def below(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that do not end by themselves; they may still be about to."""
    return psutil.wait_procs(processes, timeout=60)[1]


def test_kills_and_workers_change_no_byte(start, tmp_path):
    process = start("engine: inline")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    whole = bytes_of(tmp_path)
    assert len(PairSet(tmp_path / "pairs")) == 60 and list(verify.faults(tmp_path / "pairs")) == []
    draw = random.Random(0)
    for engine in (
        "engine: inline",
        "engine: processes, workers: 1",
        "engine: processes, workers: 2",
        "engine: processes, workers: 5",
    ):
        for kind in ("pairs", "few"):
            (tmp_path / kind).rename(tmp_path / f"old-{kind}-{time.monotonic_ns()}")
        first = start(engine)
        wait_for_parts(first, tmp_path, draw.randint(1, 4))
        workers = below(first)
        first.kill()  # the whole stage, in the middle of some part
        first.communicate()
        kept = {path: path.stat().st_mtime_ns for path in finished(tmp_path)}
        assert kept and not (tmp_path / "pairs").exists()
        second = start(engine)
        wait_for_parts(second, tmp_path, min(len(kept) + 1, 8))
        now = {path: path.stat().st_mtime_ns for path in finished(tmp_path)}
        assert now.items() >= kept.items(), "a finished part was made again"
        said, _ = second.communicate()
        assert second.returncode == 0, said
        assert "are there from a run that was stopped" in said
        assert bytes_of(tmp_path) == whole, engine
        assert not alive(workers)


@pytest.mark.parametrize("engine", ["engine: inline", "engine: processes, workers: 2"])
def test_sigterm_ends_the_stage_cleanly(start, tmp_path, engine):
    process = start(engine)
    wait_for_parts(process, tmp_path, 2)
    workers = below(process)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert not alive(workers)
    assert {path.name[0] for path in tmp_path.glob(".scratch/*/*")} == {"p"}, "begun parts are gone"
    said, _ = start(engine).communicate()
    assert "are there from a run that was stopped" in said
    assert list(verify.faults(tmp_path / "pairs")) == []


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is an optional extra")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two workers need two cores")
def test_a_ray_worker_that_is_killed_loses_nothing(start, tmp_path):
    said, _ = (process := start("engine: inline")).communicate()
    assert process.returncode == 0, said
    whole = bytes_of(tmp_path)
    for kind in ("pairs", "few"):
        (tmp_path / kind).rename(tmp_path / f"old-{kind}")
    process = start("engine: ray, workers: 2", RAY_ADDRESS="local")
    wait_for_parts(process, tmp_path, 1)
    cluster = below(process)
    workers = [child for child in cluster if "ray::_Maker" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert bytes_of(tmp_path) == whole
    assert not alive(cluster)


def test_ray_without_an_address_is_refused_in_words(start):
    said, _ = (process := start("engine: ray", RAY_ADDRESS="")).communicate()
    assert process.returncode == 2
    assert "RAY_ADDRESS does not say" in said or "Ray is not installed" in said
