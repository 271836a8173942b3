"""The class table: what it refuses, what a mirror makes of its classes."""

import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.stage.errors import UserError

GREY = (9, 9, 9)


def table(*mirrors: str | None) -> ClassTable:
    names = ("skin", "left eye", "right eye")
    return ClassTable(
        tuple(
            ClassInfo(name, GREY, mirror=mirror)
            for name, mirror in zip(names, mirrors, strict=True)
        )
    )


def test_left_and_right_change_places_in_a_mirror() -> None:
    assert table(None, "right eye", "left eye").mirrored == (0, 2, 1)
    assert table(None, None, None).mirrored == (0, 1, 2)


@pytest.mark.parametrize("mirrors", [(None, "right eye", None), ("left eye", "right eye", "skin")])
def test_a_mirror_works_both_ways(mirrors: tuple[str | None, ...]) -> None:
    with pytest.raises(UserError, match="does not mirror"):
        table(*mirrors)


def test_a_mirror_is_a_class_of_the_table() -> None:
    with pytest.raises(UserError, match="unknown class 'nose'; there is skin"):
        table("nose", None, None)


def test_mirrors_survive_json_and_are_only_written_where_there_are_any() -> None:
    mirrored = table(None, "right eye", "left eye")
    assert ClassTable.from_json(mirrored.to_json()) == mirrored
    assert "mirror" not in mirrored.to_json()[0]
    assert mirrored.to_json()[1]["mirror"] == "right eye"
