"""Every beginning of the order is spread over groups, and within each."""

import numpy as np

from data.pairs.spread import spread


def test_every_row_comes_once_and_no_number_of_rows_takes_one_away() -> None:
    for groups in ([], [None], ["a"] * 7, [None, "a", "b", "a", None, "b", "b"]):
        assert sorted(spread(groups)) == list(range(len(groups)))
    order = spread(["a"] * 204 + ["b"] * 62)
    assert set(order[:37]) < set(order[:92]), "what fewer rows hold, more rows hold too"


def test_groups_have_their_shares_at_every_number() -> None:
    groups = np.array(["long"] * 120 + ["mid"] * 60 + ["short"] * 20)
    found = groups[spread(groups.tolist())]
    for count in range(1, 201):
        for name, share in (("long", 0.6), ("mid", 0.3), ("short", 0.1)):
            assert abs((found[:count] == name).sum() - share * count) < 1.01


def test_rows_of_a_group_are_spaced_evenly() -> None:
    order = spread([None] * 200)
    for count in (8, 25, 50, 100, 150):
        gaps = np.diff(np.sort(order[:count]))
        assert gaps.max() <= 2 * 200 / count + 1, f"a hole among {count}"
    assert np.sort(order[:4]).tolist() == [0, 50, 100, 150]


def test_groups_of_one_pair_are_spread_in_their_order() -> None:
    drives = [f"{number:03d}" for number in range(64)]
    assert np.sort(spread(drives)[:4]).tolist() == [0, 16, 32, 48]
