"""Production streams: ten times the pairs take no more memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.pairs.shards import PairSet

pytestmark = pytest.mark.slow

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(artifacts: Path, root: Path, folder: Path, num_pairs: int) -> int:
    """Run the stage in a process of its own; return its largest resident size in kilobytes."""
    folder.mkdir()
    (folder / "params.yaml").write_text(
        "compute: {precision: fp32, channels_last: true, threads: 1}\n"
        "produce: {batch_size: 16, seed: 0, "
        "pairs_per_shard: 256, repaint: {num_layouts: 3, num_images: 2}}\n"
        f"sets:\n  semi: {{layouts: real, painter: spade, num_pairs: {num_pairs}}}\n"
    )
    flags = {"train": "train", "palette": "palette", "layout": "real", "painter": "spade"}
    words = [str(word) for key, name in flags.items() for word in (f"--{key}", artifacts / name)]
    words += ["--out", "pairs", "--repainted", "few"]
    command = [sys.executable, "-m", "synth.stages.produce", "--set", "semi", *words]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(PairSet(folder / "pairs")) == num_pairs
    return int(done.stdout.splitlines()[-1])


def test_memory_does_not_grow_with_the_number_of_pairs(artifacts, root, tmp_path):
    few = peak_memory(artifacts, root, tmp_path / "few", 1_000)
    many = peak_memory(artifacts, root, tmp_path / "many", 10_000)
    assert many < 1.05 * few, f"{few} kB for 1,000 pairs, {many} kB for 10,000"
