"""A picture that is read by window takes no more memory when there is more of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from data.pairs.shards import PairSet

ROOT = Path(__file__).parents[2]
TILE = 512
MEASURE = """
import resource
from pathlib import Path
from data.sources import ingest
ingest.main(out=Path("real"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def blocks(shape: tuple[int, ...], most: int) -> Iterator[np.ndarray]:
    """Yield the tiles of a picture, each of blocks of a value drawn at random."""
    rng = np.random.default_rng(0)
    for _ in range(-(-shape[0] // TILE) * -(-shape[1] // TILE)):
        few = rng.integers(0, most, (TILE // 32, TILE // 32, *shape[2:]), dtype=np.uint8)
        yield few.repeat(32, 0).repeat(32, 1)


def write(path: Path, shape: tuple[int, ...], most: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"photometric": "rgb" if len(shape) == 3 else "minisblack", "compression": "zlib"}
    tiles = {"shape": shape, "dtype": np.uint8, "tile": (TILE, TILE)}
    tifffile.imwrite(path, blocks(shape, most), **tiles, **kind)


def peak(folder: Path, shape: tuple[int, int]) -> int:
    """Ingest one picture and its mask by tiles; return the largest resident size in MiB."""
    for name, size in {"a": shape, "b": (1024, 1024)}.items():
        write(folder / f"own/images/{name}.tif", (*size, 3), 256)
        write(folder / f"own/masks/{name}.tif", size, 2)
    own = {
        "images": "images/*",
        "masks": "masks/*",
        "classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}],
        "unlabelled": [],
        "split": "glob",
        "glob": {"train": "images/a.tif", "val": "images/b.tif"},
    }
    dataset = {
        "source": "folder",
        "root": "own",
        "height": 64,
        "width": 64,
        "splits": ["train", "val"],
        "tile": {"height": TILE, "width": TILE, "stride": TILE},
        "folder": own,
    }
    (folder / "params.yaml").write_text(json.dumps({"budget": "minutes", "dataset": dataset}))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tiles = -(-shape[0] // TILE) * -(-shape[1] // TILE)
    assert len(PairSet(folder / "real/train")) == tiles
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_height(tmp_path: Path) -> None:
    low, high = peak(tmp_path / "low", (2048, 2048)), peak(tmp_path / "high", (16_384, 2048))
    assert high < 1.15 * low, f"{low} MiB for 4 megapixels, {high} MiB for 32"
