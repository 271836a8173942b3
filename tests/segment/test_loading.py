"""Batches of a training: the same whatever the number of workers and wherever pairs are kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from segment import mm
from segment.batches.loading import augmentation, plain_errors
from segment.batches.mixes import make_mix
from segment.batches.pool import Part, Pool

NUM_BATCHES = 12  # of 6 pairs: four epochs of 18 pairs


def batches(
    artifacts: Path,
    num_workers: int,
    seed: int = 3,
    photometric: bool = True,
    blends=(),
    **keep: Any,
) -> list[Any]:
    pairs = PairSet(artifacts / "pairs/more")
    list(pairs.pairs())  # read before the workers are forked, as `score` and the audit do
    pool = Pool([Part.whole(pairs)], **({"memory_limit_mb": 0} | keep))
    mix = make_mix(
        range(len(pool)),
        range(0),
        num_real=6,
        num_synthetic=0,
        num_batches=NUM_BATCHES,
        seed=seed,
    )
    pipeline = augmentation(pairs.size, (0.5, 1.0), 0.5, pairs.classes.mirrored, photometric)
    return list(mm.loader(pool, mix, pairs.classes, pipeline, num_workers, blends))


def assert_equal(some: list[Any], others: list[Any]) -> None:
    assert len(some) == len(others) == NUM_BATCHES
    for one, other in zip(some, others, strict=True):
        for a, b in zip(one["inputs"], other["inputs"], strict=True):
            assert torch.equal(a, b)
        for a, b in zip(one["data_samples"], other["data_samples"], strict=True):
            assert torch.equal(a.gt_sem_seg.data, b.gt_sem_seg.data)


def test_batches_do_not_depend_on_workers_or_on_where_pairs_are_kept(
    artifacts: Path, tmp_path: Path
) -> None:
    reference = batches(artifacts, 0, memory_limit_mb=100)
    for num_workers in (0, 1, 2):
        assert_equal(reference, batches(artifacts, num_workers))
        assert_equal(reference, batches(artifacts, num_workers, scratch=tmp_path))
    plain = batches(artifacts, 0, photometric=False)
    for one, other in zip(reference[0]["data_samples"], plain[0]["data_samples"], strict=True):
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data), "colours change alone"
    assert not torch.equal(reference[0]["inputs"][0], plain[0]["inputs"][0])
    another = batches(artifacts, 0, seed=4)
    assert not torch.equal(reference[0]["inputs"][0], another[0]["inputs"][0])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_damaged_pair_is_one_line_whoever_loads_it(
    artifacts: Path, tmp_path: Path, num_workers: int
) -> None:
    original = PairSet(artifacts / "real/val")
    for file in original.path.iterdir():
        content = bytearray(file.read_bytes())
        if file == original.shards[0]:
            content[content.index(b"IDAT") + 20] ^= 1
        (tmp_path / file.name).write_bytes(content)
    pairs = PairSet(tmp_path)
    pool = Pool([Part.whole(pairs)], memory_limit_mb=0)
    mix = make_mix(range(6), range(0), num_real=2, num_synthetic=0, num_batches=3, seed=0)
    pipeline = augmentation(pairs.size, (1.0, 1.0), 0.0, pairs.classes.mirrored)
    with (
        pytest.raises(UserError, match=r"real-00000\.parquet is damaged") as caught,
        plain_errors(),
    ):
        list(mm.loader(pool, mix, pairs.classes, pipeline, num_workers))
    assert "\n" not in str(caught.value)


def test_what_is_kept_is_not_written_into_by_the_transforms(
    artifacts: Path, tmp_path: Path
) -> None:
    pairs = PairSet(artifacts / "real/val")
    pool = Pool([Part.whole(pairs)], memory_limit_mb=0, scratch=tmp_path)
    before = [np.copy(pool[index][0]) for index in range(len(pool))]
    pipeline = augmentation(pairs.size, (1.0, 1.0), 1.0, (1, 0, 2), photometric=True)
    items = mm.dataset(pool, pairs.classes, pipeline, seed=0)
    for index in range(len(pool)):
        items[index, index]
        assert np.array_equal(pool[index][0], before[index])
