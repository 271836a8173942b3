"""Several processes: together they do what one does with all of the batch; an error ends them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import ShardWriter
from data.stage.errors import UserError
from synth.stages import fit_palette
from synth.training.method import Given, Progress, generator, randn, rows
from synth.training.team import Team
from tests.synth import small
from tests.synth.scenes import SIZE, law_of, skies, stream_of
from tests.synth.small import LAYOUTS_TRAINED, PAINTERS_TRAINED

ROOT = Path(__file__).resolve().parents[2]
C, BATCH = 4, 8
SETTINGS = {"levels": ((0, 8, 8), (8, 8, 8), (8, 8, 8)), "hidden": 4}
SETTINGS |= {"num_images": 16, "batch_size": 8, "num_doublings": 3, "max_channels": 12}
# class weights that are taken from the batch, as published, know the rows of their process
SETTINGS |= {"class_weight_power": 0.0}
FILES = ("method.json", "curve.jsonl", "weights.safetensors", "critics.safetensors")
ALL_MASKS = {"band": 0.4, "classes": 0.3, "switch": 0.3}
# Every method as usual, and what is told apart from its usual settings.
CASES = {name: (name, {}) for name in (*LAYOUTS_TRAINED, *PAINTERS_TRAINED)} | {
    "all edits": ("partial_palette", {"masks": ALL_MASKS}),
    "drawn classes": ("cgan", {"gumbel_temperature": 1.0}),
    "noise that is seen": ("oasis", {"init_gain": 1.0}),
}


@pytest.fixture(scope="module")
def labels():
    return skies(12)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (12, *SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def palettes(labels):
    return law_of(palette_of(labels, C))


@pytest.fixture
def stream(labels, images):
    return stream_of(labels, images)


def build(case, palettes):
    name, changes = CASES[case]
    torch.manual_seed(0)
    given = Given(C, SIZE, palettes)
    return small.build(name, given, **{**small.known(name, **SETTINGS), **changes})


@pytest.mark.parametrize("case", CASES)
def test_two_halves_of_a_batch_are_given_what_the_whole_is_given(case, palettes, stream):
    """The mean of every term over two processes is the term of one that has the whole batch."""
    method = build(case, palettes)
    method.nets.eval()  # batch norm knows its own rows only

    def terms(position, size, rank, count):
        now = Progress(0, 0, 1, 2, 0.5, generator(0, 1, rank=rank, count=count))
        found = {}
        for phase in method.phases(stream.batch(position, size), now):
            found |= {f"{phase.name}/{name}": v.item() for name, v in phase.loss().items()}
        return found

    whole = terms(0, BATCH, 0, 1)
    halves = [terms(rank * BATCH // 2, BATCH // 2, rank, 2) for rank in range(2)]
    assert any(abs(halves[0][name] - halves[1][name]) > 1e-4 for name in whole)
    for name, value in whole.items():
        assert (halves[0][name] + halves[1][name]) / 2 == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_rows_of_all_processes_are_the_rows_of_one():
    def drawn(rank, count, num):
        rng = generator(4, rank=rank, count=count)
        first = rows(rng, num, lambda n: torch.rand(n, 2, generator=rng))
        return torch.cat([first, randn([rng] * num, (3,))], 1)

    parts = [drawn(rank, 3, 2) for rank in range(3)]
    assert torch.equal(torch.cat(parts), drawn(0, 1, 6))


def test_a_batch_that_cannot_be_shared_is_refused():
    assert Team(0, 2).share(6) == 3
    with pytest.raises(UserError, match="batch of 5 pairs cannot be shared by 2 processes"):
        Team(0, 2).share(5)


# -- the stage ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(labels, images, tmp_path_factory):
    """A folder with real pairs and palettes."""
    root = tmp_path_factory.mktemp("run")
    table = ClassTable(tuple(ClassInfo(name, (i, i, i)) for i, name in enumerate("abcd")))
    with ShardWriter(root / "train", classes=table, size=SIZE, fingerprint="f") as writer:
        for number, (label, image) in enumerate(zip(labels, images, strict=True)):
            writer.write(Pair(f"{number}", image, label, "real"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_params(root)
        fit_palette.main(train=root / "train", out=root / "palette")
    return root


def write_params(root, images=8, lr=1e-3, precision="fp32"):
    levels = [[0, images, 4], [4, 8, 4]]
    small.write_params(
        root,
        compute=small.FAST | {"precision": precision},
        training=small.TRAINING | {"log_every": 1},
        layouts={"semantic_palette": small.numbers("semantic_palette", lr=lr, levels=levels)},
    )


def start(root, out, processes=1):
    """Start the stage, alone or under torchrun; its output is one pipe."""
    team = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    stage = ["-m", "synth.stages.train_layout", "--method", "semantic_palette"]
    places = ["--train", "train", "--palette", "palette", "--out", out]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    env["SCENE_PALETTE_SCRATCH"] = str(root / "scratch")
    return subprocess.Popen(
        [sys.executable, *(team if processes > 1 else ()), *stage, *places],
        cwd=root,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(root, out, processes=1, status=0):
    child = start(root, out, processes)
    output = child.communicate()[0]
    assert child.returncode == status, output
    return output


def made(root, out):
    lines = (root / out / "curve.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], load_file(root / out / "weights.safetensors")


def require_close(one, other):
    """Compare curves and weights; the first step of Adam makes much of a gradient near zero."""
    assert one[0][0] == pytest.approx(other[0][0], rel=1e-5, abs=2e-6)
    for point, its in zip(one[0], other[0], strict=True):
        assert point == pytest.approx(its, rel=5e-3, abs=1e-3)
    weights = [torch.cat([v.flatten() for v in its[1].values()]) for its in (one, other)]
    assert (weights[0] - weights[1]).abs().mean() < 1e-5


def test_two_processes_have_the_losses_of_one_with_the_double_batch(project):
    write_params(project, lr=1e-4)
    finish(project, "one")
    output = finish(project, "two", 2)
    assert len(re.findall("semantic_palette: 20/20 images", output)) == 1, output
    require_close(made(project, "one"), made(project, "two"))
    assert not list((project / "scratch").glob("*"))
    assert not list(project.glob(".*"))


@pytest.mark.slow
def test_an_error_in_several_processes_ends_them_and_is_said(project):
    write_params(project)
    output = finish(project, "none", 3, status=1)
    assert "error: a batch of 4 pairs cannot be shared by 3 processes" in output
    assert not (project / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_resume_to_the_same_bytes_and_none_stays(project, rank):
    write_params(project, images=800)
    child = start(project, "killed", 2)
    while not list(project.glob("scratch/*/checkpoint.pt")):
        assert child.poll() is None, child.communicate()[0]
        time.sleep(0.01)
    family = psutil.Process(child.pid).children()
    members = [it for it in family if "synth.stages.train_layout" in " ".join(it.cmdline())]
    assert len(members) == 2
    victim = next(it for it in members if it.environ()["RANK"] == str(rank))
    victim.send_signal(signal.SIGKILL)
    output = child.communicate()[0]
    assert child.returncode == 1
    _gone, alive = psutil.wait_procs(members, timeout=20)
    assert not alive, output
    assert "resumed at step" in finish(project, "killed", 2)
    finish(project, "straight", 2)
    for name in FILES:
        killed, straight = (project / out / name for out in ("killed", "straight"))
        assert killed.read_bytes() == straight.read_bytes(), name


@pytest.mark.slow
def test_what_is_not_finite_in_one_process_stops_both_with_a_checkpoint_kept(project):
    write_params(project, images=80, lr=1e30)
    output = finish(project, "broken", 2, status=1)
    assert re.search(r"error: (G|D)/\w+.* not finite in step \d+, which makes 11 such", output)
    assert not (project / "broken").exists()
