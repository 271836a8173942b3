"""Batches: real and synthetic items, their order and their end, and the slices of the seeds."""

from itertools import islice

import numpy as np
import pytest

from data.stage.errors import UserError
from segment.batches.mixes import Mix, make_mix, slice_of


def mix(
    real: range, synthetic: range, counts: tuple[int, int] = (3, 3), until: float = 1, seed: int = 3
) -> Mix:
    num_real, num_synthetic = counts
    return make_mix(
        real,
        synthetic,
        num_real=num_real,
        num_synthetic=num_synthetic,
        num_batches=10,
        until=until,
        seed=seed,
    )


@pytest.mark.parametrize("counts", [(0, 6), (2, 4), (3, 3), (6, 0)])
def test_every_batch_holds_the_items_of_the_row(counts: tuple[int, int]) -> None:
    plan = mix(range(10), range(10, 17), counts)
    assert len(plan) == 10
    for batch in plan:
        indices = np.asarray([index for index, _ in batch])
        assert ((indices < 10).sum(), (indices >= 10).sum()) == counts
        assert (indices[: counts[0]] < 10).all(), "real pairs come first"


def test_each_stream_visits_every_pair_once_an_epoch() -> None:
    plan = mix(range(10), range(10, 17))
    shown = [index for batch in plan for index, _ in batch]
    real = [index for index in shown if index < 10]
    synthetic = [index for index in shown if index >= 10]
    assert sorted(real[:10]) == sorted(real[10:20]) == list(range(10))
    assert real[:10] != real[10:20]
    assert sorted(synthetic[:7]) == sorted(synthetic[7:14]) == list(range(10, 17))


def test_after_until_batches_as_large_hold_real_pairs_alone() -> None:
    plan = mix(range(10), range(10, 99), until=0.7)
    batches = [[index for index, _ in batch] for batch in plan]
    assert [sum(index >= 10 for index in batch) for batch in batches] == [3] * 7 + [0] * 3
    assert {len(batch) for batch in batches} == {6}
    real = [index for batch in batches for index in batch if index < 10]
    for first in (0, 10, 20):
        assert sorted(real[first : first + 10]) == list(range(10)), "the stream goes on"
    assert batches[:7] == [[i for i, _ in b] for b in islice(mix(range(10), range(10, 99)), 7)]
    draws = [draw for batch in plan for _, draw in batch]
    assert draws == list(range(60)), "every item is augmented differently"


def test_repeats_say_how_often_a_synthetic_pair_is_shown() -> None:
    for size, until in ((30, 1), (15, 1), (40, 1), (15, 0.5)):
        plan = mix(range(10), range(10, 10 + size), until=until)
        shown = [index for batch in plan for index, _ in batch if index >= 10]
        assert plan.repeats == pytest.approx(len(shown) / size)
        assert (len(set(shown)) < len(shown)) == (plan.repeats > 1), "none twice without need"
    assert mix(range(10), range(0), (6, 0)).repeats == 0


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


def test_rare_pairs_come_as_often_as_they_are_likely_in_either_stream() -> None:
    rare, alike = (0.55, *[0.05] * 9), None
    for chances, real in (((rare, alike), True), ((alike, rare), False)):
        plan = make_mix(
            range(10),
            range(10, 20),
            num_real=2,
            num_synthetic=2,
            num_batches=50,
            seed=0,
            chances=chances,
        )
        shown = np.bincount([index for batch in plan for index, _ in batch], minlength=20)
        drawn, others = (shown[:10], shown[10:]) if real else (shown[10:], shown[:10])
        assert drawn[0] == pytest.approx(55, abs=5) and drawn[1:].max() <= 10
        assert (others == 10).all(), "each stream by itself"
        assert list(plan)[7] == list(plan)[7] == [(i, 28 + n) for n, i in enumerate(plan.batch(7))]


def test_slices_share_out_the_synthetic_rows() -> None:
    rows = np.arange(50, 61)
    parts = [slice_of(rows, seed, 3) for seed in range(3)]
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert {len(part) for part in parts} == {3, 4}
    assert slice_of(rows, 4, 3).tolist() == parts[1].tolist()


def test_items_need_pairs() -> None:
    with pytest.raises(UserError, match="set of real pairs is empty"):
        mix(range(0), range(5))
    with pytest.raises(UserError, match="sets are empty"):
        mix(range(5), range(0))


def test_the_order_is_the_one_that_published_results_were_made_with() -> None:
    plan = mix(range(10), range(10, 17))
    assert plan.batch(0).tolist() == [9, 6, 0, 12, 11, 14]
    assert plan.batch(5).tolist() == [6, 1, 2, 15, 13, 16]
    alone = mix(range(10), range(0), (6, 0))
    assert [alone.batch(number).tolist() for number in (0, 5)] == [
        [9, 6, 0, 2, 1, 4],
        [2, 3, 8, 7, 4, 0],
    ]
