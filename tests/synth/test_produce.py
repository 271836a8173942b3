"""Production in parts: whoever makes them, and however often they stop, the bytes are equal."""

import io
import multiprocessing
import os
import signal
from contextlib import closing

import pyarrow.parquet as pq
import pytest
import torch

from data.pairs.manifest import StartsFrom
from data.pairs.shards import PairSet
from data.stage.compute import Compute
from data.stage.errors import UserError
from data.tools import verify
from synth.making.engines import ENGINES, inline
from synth.making.parts import Job, ProduceParams, is_finished, plan, remove_unfinished
from synth.making.sets import Artifacts, SetParams
from synth.stages import produce

PALETTE = SetParams(layouts="semantic_palette", painter="oasis", num_pairs=11)
NUMBERS = {
    "batch_size": 2,
    "seed": 0,
    "repaint": {"num_layouts": 3, "num_images": 2},
    "pairs_per_shard": 4,
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def job_of(artifacts, folder, row=PALETTE, **numbers):
    return Job(
        "palette",
        row,
        ProduceParams(**NUMBERS | numbers),
        Compute("cpu", "fp32", True, 1),
        train=artifacts / "train",
        artifacts=Artifacts(
            artifacts / "palette", artifacts / row.layouts, artifacts / row.painter
        ),
        starts_from=StartsFrom.of(artifacts / "train"),
        fingerprint="f",
        folder=folder,
    )


def shards(folder):
    found = sorted(folder.rglob("*.parquet"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def whole(artifacts, tmp_path_factory):
    """All parts, made in one go by one worker."""
    job = job_of(artifacts, tmp_path_factory.mktemp("whole"))
    for _ in inline.make(job, plan(job.numbers, 11)):
        pass
    return shards(job.folder)


def test_a_plan_has_every_pair_once_and_cuts_at_whole_batches():
    numbers = ProduceParams(**NUMBERS | {"pairs_per_shard": 3})
    *pairs, again = plan(numbers, 11)
    assert [part.name for part in pairs] == ["pairs-00000", "pairs-00001", "pairs-00002"]
    batches = [batch for part in pairs for batch in part.batches]
    assert [index for batch in batches for index in batch.indices[: batch.kept]] == list(range(11))
    assert {len(batch.indices) for batch in batches} == {2}, "the last batch is full too"
    assert (again.kind, again.num_pairs) == ("repainted", 6)


def test_pairs_do_not_depend_on_where_shards_end(artifacts, tmp_path, whole):
    job = job_of(artifacts, tmp_path / "other", pairs_per_shard=100)
    parts = plan(job.numbers, 11)
    assert len(parts) == 2
    for _ in inline.make(job, parts):
        pass
    other = PairSet(job.folder / "pairs-00000")
    hashes = other.column("sha256")
    assert len(set(hashes)) == 11
    cut = [
        pq.read_table(io.BytesIO(whole[f"pairs-{n:05d}/palette-{n:05d}.parquet"])) for n in range(3)
    ]
    for name, values in (("sha256", hashes), ("id", other.ids())):
        assert [value for part in cut for value in part[name].to_pylist()] == values


def test_a_run_that_stops_keeps_finished_parts_and_makes_the_others(artifacts, tmp_path, whole):
    job = job_of(artifacts, tmp_path)
    parts = plan(job.numbers, 11)
    with closing(inline.make(job, parts)) as steps:
        for step in steps:
            if step.whole:
                break
    assert is_finished(job, parts[0])
    assert {path.name for path in tmp_path.iterdir()} == {step.part}, "what was begun is removed"
    inode = (tmp_path / step.part).stat().st_ino
    missing = [part for part in parts if not is_finished(job, part)]
    assert len(missing) == 3
    made = [step.part for step in inline.make(job, missing) if step.whole]
    assert made == [part.name for part in missing]
    assert (tmp_path / step.part).stat().st_ino == inode
    assert shards(tmp_path) == whole


def test_a_finished_part_with_a_fault_is_made_again(artifacts, tmp_path):
    job = job_of(artifacts, tmp_path)
    parts = plan(job.numbers, 11)[:2]
    for _ in inline.make(job, parts):
        pass
    assert all(is_finished(job, part) for part in parts)
    shard = tmp_path / "pairs-00001/palette-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert [is_finished(job, part) for part in parts] == [True, False]
    assert not shard.exists()
    other = job_of(artifacts, tmp_path)
    assert not is_finished(Job(**vars(other) | {"fingerprint": "g"}), parts[0])


def test_two_workers_that_make_the_same_part_do_not_meet(artifacts, tmp_path, whole):
    job = job_of(artifacts, tmp_path)
    part = plan(job.numbers, 11)[0]
    with (
        closing(inline.make(job, [part])) as first,
        closing(inline.make(job, [part])) as second,
    ):
        assert not next(first).whole
        assert sum(step.whole for step in second) == 1
        assert sum(step.whole for step in first) == 1
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
    assert shards(tmp_path).items() <= whole.items()


def test_processes_make_the_same_bytes_though_one_is_killed(artifacts, tmp_path, whole):
    job = job_of(artifacts, tmp_path, engine="processes", workers=2)
    parts = plan(job.numbers, 11)
    steps = []
    with closing(ENGINES["processes"](job, parts)) as made:
        for step in made:
            steps.append(step)
            if len(steps) == 1:
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    remove_unfinished(job)
    assert sum(step.num_pairs for step in steps) == 17, "what a dead worker reported is taken back"
    assert sorted(step.part for step in steps if step.whole) == sorted(p.name for p in parts)
    assert shards(tmp_path) == whole
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("style", ["mixed", "sampled"])
def test_processes_paint_the_same_looks(artifacts, tmp_path, style):
    row = SetParams(layouts="real", painter="regions", num_pairs=5, style=style)
    made = []
    for engine in ("inline", "processes"):
        job = job_of(artifacts, tmp_path / engine, row=row, engine=engine, workers=2)
        with closing(ENGINES[engine](job, plan(job.numbers, 5))) as steps:
            assert sum(step.num_pairs for step in steps) == 11
        made.append(shards(job.folder))
    assert made[0] == made[1]


@pytest.mark.slow
def test_what_a_worker_raises_reaches_the_user(artifacts, tmp_path):
    row = PALETTE.model_copy(update={"painter": "oasiss"})
    job = job_of(artifacts, tmp_path, row=row, engine="processes", workers=1)
    with pytest.raises(UserError, match="unknown painter 'oasiss'"):
        list(ENGINES["processes"](job, plan(job.numbers, 11)))


def test_the_stage_gathers_the_parts_and_leaves_nothing(artifacts, tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "compute: {precision: fp32, channels_last: true, threads: 1}\n"
        "produce: {batch_size: 2, seed: 0, pairs_per_shard: 4, "
        "repaint: {num_layouts: 3, num_images: 2}}\n"
        "sets:\n  palette: {layouts: semantic_palette, painter: oasis, num_pairs: 11}\n"
    )
    produce.main(
        set="palette",
        train=artifacts / "train",
        palette=artifacts / "palette",
        layout=artifacts / "semantic_palette",
        painter=artifacts / "oasis",
        out=tmp_path / "pairs",
        repainted=tmp_path / "few",
    )
    for name, count in (("pairs", 11), ("few", 6)):
        assert len(PairSet(tmp_path / name)) == count
        assert list(verify.faults(tmp_path / name)) == []
    assert PairSet(tmp_path / "pairs").origin["palette"]["painter"] == "oasis"
    numbers = [f"palette-{number:05d}.parquet" for number in range(3)]
    assert sorted(p.name for p in (tmp_path / "pairs").glob("palette-*")) == numbers
    assert not list((tmp_path / ".scratch").iterdir())


def test_an_unknown_engine_lists_what_there_is(artifacts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "produce: {batch_size: 2, seed: 0, engine: spark, "
        "repaint: {num_layouts: 3, num_images: 2}}\n"
        "sets:\n  palette: {layouts: semantic_palette, painter: oasis, num_pairs: 11}\n"
    )
    folder = tmp_path / "nothing"
    paths = dict.fromkeys(("train", "palette", "layout", "painter", "out", "repainted"), folder)
    with pytest.raises(UserError, match="unknown engine 'spark'; there is inline, processes, ray"):
        produce.main(set="palette", **paths)
