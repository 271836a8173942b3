"""How many training pairs are used, and which groups are held out of training."""

from pathlib import Path
from typing import Any

import pytest

from data.pairs.shards import PairSet
from data.sources import splits
from data.sources.files import RawPair
from data.stage.errors import UserError
from data.tools.verify import faults

STREETS = Path("data/sources/streets")


def content(path: Path) -> dict[str, bytes]:
    """Return the files of a folder, relative."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def some_streets(run_ingest, out: str, **dataset: Any) -> Path:
    numbers = {"num_train": 8, "num_val": 2, "num_test": 2, "seed": 1}
    return run_ingest(out, source="streets", root=STREETS, streets=numbers, **dataset)


def test_fewer_pairs_are_in_more_pairs_and_nothing_else_changes(run_ingest) -> None:
    whole = some_streets(run_ingest, "whole")
    found = {limit: some_streets(run_ingest, f"of{limit}", limit=limit) for limit in (2, 4)}
    ids = {limit: PairSet(path / "train").ids() for limit, path in found.items()}
    everything = PairSet(whole / "train").ids()
    assert len(ids[2]) == 2 and set(ids[2]) < set(ids[4]) < set(everything)
    assert ids[4] == [name for name in everything if name in ids[4]], "their order stays"
    for path in found.values():
        assert content(path / "val") == content(whole / "val")
        assert content(path / "pool") == content(whole / "train"), "all pairs are kept beside"
    assert not (whole / "pool").exists()
    marks = {PairSet(path / "train").manifest["fingerprint"] for path in (*found.values(), whole)}
    assert len(marks) == 3


def test_a_limit_that_is_not_reached_changes_no_byte(run_ingest) -> None:
    whole, same = some_streets(run_ingest, "a"), some_streets(run_ingest, "b", limit=8)
    assert content(whole) == content(same)


def test_a_limited_set_keeps_the_pairs_as_they_are(camvid, run_ingest) -> None:
    whole = PairSet(run_ingest("a", source="camvid", root=camvid) / "train")
    out = run_ingest("b", source="camvid", root=camvid, limit=2)
    few = PairSet(out / "train")
    assert set(few.column("group")) == {"0001TP", "0006R0"}, "both videos"
    for pair in few.pairs():
        (row,) = [row for row, name in enumerate(whole.ids()) if name == pair.id]
        assert (whole[row].image == pair.image).all() and (whole[row].label == pair.label).all()
    assert not list(faults(few.path))


def test_a_group_is_held_out_of_training(camvid, run_ingest) -> None:
    plain = run_ingest("a", source="camvid", root=camvid)
    out = run_ingest("b", source="camvid", root=camvid, hold_out={"val": ["0006R0"]})
    train, val = PairSet(out / "train"), PairSet(out / "val")
    assert train.ids() == ["0001TP_006690", "0001TP_006720"]
    assert val.ids() == ["0006R0_f00930"], "the split's own pairs are left out"
    assert train.manifest["fingerprint"] != PairSet(plain / "train").manifest["fingerprint"]


def raw(split: str, group: str, number: int) -> RawPair:
    return RawPair(f"{split}{group}{number}", split, Path("x"), Path("y"), group=group)


RAW = [
    *(raw("train", group, number) for group in "abc" for number in range(2)),
    *(raw("val", group, 0) for group in "cd"),
    raw("test", "e", 0),
]


def test_a_held_out_split_has_its_groups_whole() -> None:
    found = splits.held_out(RAW, {"val": ("c",)}, ["train", "val", "test"])
    by_split = {
        name: [pair.id for pair in pairs] for name, pairs in splits.parts_of(found, None).items()
    }
    assert by_split == {
        "train": ["traina0", "traina1", "trainb0", "trainb1"],
        "val": ["trainc0", "trainc1", "valc0"],
        "test": ["teste0"],
    }
    assert splits.held_out(RAW, {}, ["train", "val", "test"]) == RAW


@pytest.mark.parametrize(
    ("hold_out", "message"),
    [
        ({"val": ("z",)}, r"hold_out\.val names the group 'z'; the train split has a, b, c$"),
        ({"val": ("a",), "test": ("a",)}, "names a group twice"),
        ({"val": ("a", "b", "c")}, "leaves no training pair"),
    ],
)
def test_wrong_groups_are_refused(hold_out, message) -> None:
    with pytest.raises(UserError, match=message):
        splits.held_out(RAW, hold_out, ["train", "val", "test"])


def test_a_split_that_is_not_read_cannot_be_held_out() -> None:
    with pytest.raises(UserError, match=r"names the split 'test'; add it to dataset\.splits"):
        splits.held_out(RAW, {"test": ("a",)}, ["train", "val"])


def test_streets_have_no_groups_to_hold_out(run_ingest) -> None:
    with pytest.raises(UserError, match=r"names the group 'a'; the train split has no groups"):
        some_streets(run_ingest, "a", hold_out={"val": ["a"]})
