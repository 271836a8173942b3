"""Batches: the shares of real and synthetic pairs, their order, and the slices of the seeds."""

from itertools import islice

import numpy as np
import pytest

from data.stage.errors import UserError
from segment.mixes import Mix, make_mix, slice_of


def mix(real: range, synthetic: range, share: float = 0.5, seed: int = 3) -> Mix:
    return make_mix(real, synthetic, batch_size=6, real_share=share, num_batches=10, seed=seed)


@pytest.mark.parametrize(("share", "num_real"), [(0.0, 0), (0.25, 2), (0.5, 3), (1.0, 6)])
def test_every_batch_holds_the_real_share(share: float, num_real: int) -> None:
    plan = mix(range(10), range(10, 17), share)
    for batch in plan:
        indices = np.asarray([index for index, _ in batch])
        assert len(indices) == 6
        assert (indices < 10).sum() == num_real


def test_real_only_has_the_same_total_batch() -> None:
    plan = mix(range(10), range(0))
    assert [len(batch) for batch in plan] == [6] * 10
    assert max(index for batch in plan for index, _ in batch) < 10


def test_each_stream_visits_every_pair_once_an_epoch() -> None:
    plan = mix(range(10), range(10, 17))
    shown = [index for batch in plan for index, _ in batch]
    real = [index for index in shown if index < 10]
    synthetic = [index for index in shown if index >= 10]
    assert sorted(real[:10]) == sorted(real[10:20]) == list(range(10))
    assert real[:10] != real[10:20]
    assert sorted(synthetic[:7]) == sorted(synthetic[7:14]) == list(range(10, 17))


def test_a_batch_is_a_function_of_seed_and_number() -> None:
    plan = mix(range(10), range(10, 17))
    for number, batch in islice(enumerate(plan), 4, 8):
        assert [index for index, _ in batch] == plan.batch(number).tolist()
        assert [draw for _, draw in batch] == list(range(number * 6, number * 6 + 6))
    assert list(plan) == list(mix(range(10), range(10, 17)))
    assert list(plan) != list(mix(range(10), range(10, 17), seed=4))


def test_real_pairs_are_drawn_alike_whatever_the_synthetic_ones_are() -> None:
    one, other = mix(range(10), range(10, 17)), mix(range(10), range(10, 99))
    for a, b in zip(one, other, strict=True):
        assert [i for i, _ in a if i < 10] == [i for i, _ in b if i < 10]


def test_slices_share_out_the_synthetic_rows() -> None:
    rows = np.arange(50, 61)
    parts = [slice_of(rows, seed, 3) for seed in range(3)]
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert {len(part) for part in parts} == {3, 4}
    assert slice_of(rows, 4, 3).tolist() == parts[1].tolist()


def test_a_real_share_needs_real_pairs() -> None:
    with pytest.raises(UserError, match="real_share"):
        mix(range(0), range(5))


def test_the_order_is_the_one_that_published_results_were_made_with() -> None:
    plan = mix(range(10), range(10, 17))
    assert plan.batch(0).tolist() == [9, 6, 0, 12, 11, 14]
    assert plan.batch(5).tolist() == [6, 1, 2, 15, 13, 16]
