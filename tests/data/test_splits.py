"""Splits by share and by whole groups: seeded, disjoint, near the shares, never across a group."""

from pathlib import PurePosixPath

import numpy as np
import pytest

from data.sources.splits import by_group, by_share, group_of
from data.stage.errors import UserError


def grouped(*sizes: int) -> dict[str, str]:
    """Return names of groups g0, g1, ... of the given sizes."""
    return {f"g{g}-{i}": f"g{g}" for g, size in enumerate(sizes) for i in range(size)}


SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_cut_and_every_name_has_one_split(seed) -> None:
    rng = np.random.default_rng(seed)
    names = grouped(*rng.integers(1, 60, 40))
    parts = by_group(names, SHARES, seed)
    assert sorted(n for part in parts.values() for n in part) == sorted(names)
    groups = {split: {names[n] for n in part} for split, part in parts.items()}
    assert sum(map(len, groups.values())) == 40
    for split, share in SHARES.items():
        assert abs(len(parts[split]) - share * len(names)) <= 1
    assert by_group(dict(reversed(names.items())), SHARES, seed) == parts


def test_groups_follow_the_seed() -> None:
    names = grouped(*[5] * 20)
    assert len({frozenset(by_group(names, SHARES, seed)["val"]) for seed in range(6)}) > 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((100, 1), [100, 1]), ((62, 101, 204), [305, 62]), ((10, 10), [10, 10]), ((8, 1, 1), [8, 2])],
)
def test_few_groups_come_as_near_as_they_can(sizes, expected) -> None:
    parts = by_group(grouped(*sizes), {"train": 0.8, "val": 0.2}, seed=0)
    assert [len(part) for part in parts.values()] == expected


def test_groups_beyond_the_shares_stay_out() -> None:
    parts = by_group(grouped(*[10] * 10), {"train": 0.5, "val": 0.2}, seed=3)
    assert [len(part) for part in parts.values()] == [50, 20]


def test_fewer_groups_than_splits_are_named() -> None:
    with pytest.raises(UserError, match=r"finds 2 groups \(g0, g1\) for 3 splits, and a group is"):
        by_group(grouped(50, 50), SHARES, seed=0)


def test_25_000_groups_of_one_are_a_share() -> None:
    parts = by_group(grouped(*[1] * 25_000), SHARES, seed=0)
    assert [len(part) for part in parts.values()] == [17_500, 3750, 3750]


def test_shares_leave_names_out_but_never_twice() -> None:
    names = [str(i) for i in range(10)]
    parts = by_share(names, {"train": 0.5, "val": 0.3}, seed=1)
    assert len(parts["train"]) == 5 and len(parts["val"]) == 3
    assert not parts["train"] & parts["val"]


@pytest.mark.parametrize(
    ("rule", "path", "group"),
    [
        ("parent", "videos/a/001.jpg", "videos/a"),
        (r"^(.*)_[0-9]+$", "v/seq-b_017.png", "v/seq-b"),
        (r"([^/]+)_[0-9]+$", "v/seq-b_017_leftImg8bit.png", "seq-b"),
        (r"([^/]+)_[0-9]+$", "v/seq-b_017_LEFTImg8bit.PNG", "seq-b"),
        ("(\u00fc[a-z])", "v/u\u0308b_017.png", "\u00fcb"),
    ],
)
def test_the_group_of_a_file(rule, path, group) -> None:
    assert group_of(PurePosixPath(path), rule, "_leftImg8bit") == group


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("(a", r"group_by = '\(a' is not a regular expression"),
        ("a_[0-9]", r"has 0 groups in parentheses; write exactly one"),
        ("(a)(b)", r"has 2 groups in parentheses"),
        ("(zebra)", r"finds nothing in 'photos/p01'; correct the pattern"),
    ],
)
def test_wrong_patterns_are_explained(rule, message) -> None:
    with pytest.raises(UserError, match=message):
        group_of(PurePosixPath("photos/p01.jpg"), rule)
