"""Decoded pairs: the same whether kept or not, and labels without unsupervised classes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from data.pairs.classes import IGNORE
from data.pairs.shards import PairSet
from segment.decoded import reserve
from segment.pool import Pool


@pytest.mark.parametrize("memory_limit_mb", [0, 100])
def test_rows_come_in_the_order_asked_for(artifacts: Path, memory_limit_mb: int) -> None:
    pairs = PairSet(artifacts / "pairs/semi")
    rows = [20, 3, 11]
    pool = Pool(pairs, rows, memory_limit_mb=memory_limit_mb)
    assert pool.ids() == [pairs[row].id for row in rows]
    for index, row in enumerate(rows):
        image, label = pool[index]
        assert np.array_equal(image, pairs[row].image)
        assert np.array_equal(label, pairs[row].label)
    images, labels = zip(*pool.batches(2), strict=True)
    assert [len(batch) for batch in images] == [2, 1]
    assert np.array_equal(np.concatenate(labels)[2], pairs[11].label)


def test_other_classes_are_ignored_in_the_loss_only_when_asked(artifacts: Path) -> None:
    pairs = PairSet(artifacts / "pairs/real")
    everything = Pool(pairs, [0], memory_limit_mb=100)[0][1]
    evaluated = Pool(pairs, [0], memory_limit_mb=100, supervised=pairs.classes.eval_ids)[0][1]
    assert set(np.unique(everything)) == {0, 1, 2}
    assert np.array_equal(evaluated, np.where(everything == 2, IGNORE, everything))


def test_pairs_that_do_not_fit_are_decoded_once_into_a_file_without_a_name(
    artifacts: Path, tmp_path: Path
) -> None:
    folder, scratch = tmp_path / "set", tmp_path / "scratch"
    shutil.copytree(artifacts / "pairs/semi", folder)
    scratch.mkdir()
    pairs = PairSet(folder)
    rows = [20, 3, 3, 11]
    options = {"memory_limit_mb": 0, "supervised": pairs.classes.eval_ids}
    pool = Pool(pairs, rows, scratch=scratch, **options)
    wanted = [Pool(pairs, rows, **options)[index] for index in range(4)]
    for index in (2, 0, 2, 1, 3):
        np.testing.assert_array_equal(pool[index][0], wanted[index][0])
    pairs.shards[0].unlink()
    for (image, label), other in zip(wanted, (pool[index] for index in range(4)), strict=True):
        assert np.array_equal(image, other[0]) and np.array_equal(label, other[1])
    assert not list(scratch.iterdir())


def test_a_file_that_would_fill_the_disk_is_not_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert reserve(tmp_path, 10**9, (1024, 2048)) is None
    assert "half of the free disk" in caplog.text
    assert not list(tmp_path.iterdir())
