"""Kills and full disks: nothing half under a final name, and the next run makes it whole."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.stage.errors import UserError

# One interpreter for all kills: importing takes longer than writing.
KILLS = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
from writing import write

def state(folder):
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}

def start(out):
    child = os.fork()
    if not child:
        status = 1
        try:
            write(out)
            status = 0
        finally:
            os._exit(status)
    return child

whole, out = Path("whole/set"), Path("killed/set")
began = time.monotonic()
assert os.waitpid(start(whole), 0)[1] == 0
took = time.monotonic() - began
wanted = state(whole)
moments = random.Random(4)
killed = 0
for _ in range(8):
    child = start(out)
    time.sleep(moments.random() * took)
    os.kill(child, signal.SIGKILL)
    killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    for name, content in state(out.parent).items() if out.parent.exists() else ():
        place, _, file = name.partition("/")
        assert place in ("set", ".set.partial", ".set.old"), name
        if not file.endswith(".partial"):
            assert content == wanted[file], f"{name} is not whole"
    if out.exists():
        assert state(out) == wanted, "a set under its final name is not whole"
assert os.waitpid(start(out), 0)[1] == 0
assert state(out) == wanted
print(json.dumps({"killed": killed, "left": sorted(p.name for p in out.parent.iterdir())}))
"""

WRITE_SHARDS = """
import numpy as np
from data.pairs.classes import ClassInfo, ClassTable
from data.stage.outputs import replacing
from data.pairs.pair import Pair
from data.pairs.shards import Cut, PairSet, ShardWriter

CLASSES = ClassTable((ClassInfo("road", (128, 64, 128)), ClassInfo("sky", (70, 130, 180))))

def fill(folder, pairs=160):
    options = dict(classes=CLASSES, size=(32, 48), fingerprint="f", cut=Cut(rows=20))
    with ShardWriter(folder, **options) as writer:
        for index in range(pairs):
            rng = np.random.default_rng(index)
            image = rng.integers(0, 256, (32, 48, 3), np.uint8)
            writer.write(Pair(f"real-{index}", image, image[..., 0] % 2, "real"))

def write(out):
    with replacing(out) as partial:
        fill(partial / "one")
        with ShardWriter(partial / "two", classes=CLASSES, size=(32, 48), fingerprint="f") as copy:
            copy.add_shards_of(PairSet(partial / "one"))
"""

INGEST = """
import logging
from data.sources import ingest

def write(out):
    ingest.main(out=out)
"""

FULL = """
import sys
from pathlib import Path
from data.stage.cli import run
from data.stage.outputs import replacing, write_json
from writing import fill, write

def main(*, what: str, out: Path) -> None:
    try:
        if what == "set":
            fill(out, 10_000)
        elif what == "stage":
            with replacing(out) as partial:
                fill(partial, 10_000)
        else:
            write_json(out / "numbers.json", list(range(300_000)))
    finally:
        print(sorted(str(p.relative_to(out.parent)) for p in out.parent.rglob("*")))

run(main)
"""


def script(folder: Path, writing: str, body: str) -> list[str]:
    (folder / "writing.py").write_text(writing)
    (folder / "script.py").write_text(body)
    return [sys.executable, "script.py"]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def folder_dataset(root: Path) -> None:
    """Write 12 pictures with masks, and a params.yaml that reads them."""
    rng = np.random.default_rng(0)
    for name in ("photos", "masks"):
        (root / "raw" / name).mkdir(parents=True)
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(
            root / f"raw/photos/p{index:02d}.png"
        )
        Image.fromarray(rng.integers(0, 2, (40, 60), np.uint8)).save(
            root / f"raw/masks/p{index:02d}.png"
        )
    source = {
        "images": "photos/*.png",
        "masks": "masks/*.png",
        "classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}],
        "split": "share",
        "share": {"train": 0.8, "val": 0.2},
    }
    section = {"source": "folder", "root": "raw", "height": 32, "width": 48}
    section |= {"splits": ["train", "val"], "folder": source}
    YAML(typ="safe").dump({"dataset": section}, root / "params.yaml")


@pytest.mark.parametrize("writing", [WRITE_SHARDS, INGEST], ids=["shards", "ingest"])
def test_a_kill_leaves_nothing_half_and_the_next_run_makes_the_same_bytes(
    tmp_path: Path, writing: str
) -> None:
    folder_dataset(tmp_path)
    done = subprocess.run(
        script(tmp_path, writing, KILLS),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["left"] == ["set"]
    assert found["killed"] >= 3, "the kills came too late to show anything"


def mounted(folder: Path, command: list[str]) -> list[str]:
    """Return a command that runs with a disk of 300 kB at the folder."""
    mount = f'mount -t tmpfs -o size=300k tmpfs {folder} && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", *command]


@pytest.mark.parametrize("what", ["set", "stage", "json"])
@pytest.mark.parametrize("disk", ["tmpfs", "ulimit"])
def test_a_full_disk_is_one_sentence_and_leaves_no_set(
    tmp_path: Path, disk: str, what: str
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    command = [*script(tmp_path, WRITE_SHARDS, FULL), "--what", what, "--out", str(room / "set")]
    if disk == "tmpfs":
        if subprocess.run(mounted(room, ["true"]), capture_output=True).returncode:
            pytest.skip("this system does not let us mount a disk")
        command = mounted(room, command)
    limit = 30_000 if disk == "ulimit" else resource.RLIM_INFINITY
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: no room to write ") and done.stderr.count("\n") == 1
    assert f"{room}/" in done.stderr and "MB free" in done.stderr and "are needed" in done.stderr
    left = done.stdout.splitlines()[-1]
    assert "partial" not in left and "json" not in left
    assert ("parquet" in left) == (what == "set" and disk == "tmpfs"), left
    if what == "set" and disk == "ulimit":
        with pytest.raises(UserError, match="did not finish"):
            PairSet(room / "set")
