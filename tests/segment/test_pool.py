"""Decoded pairs: the same whether kept or not, and labels without unsupervised classes."""

from pathlib import Path

import numpy as np
import pytest

from data.classes import IGNORE
from data.shards import PairSet
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
