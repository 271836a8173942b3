"""Cityscapes: names and ids are those of the release, and what it cannot express is refused."""

import numpy as np
import pytest

from data.pairs.classes import IGNORE, ClassInfo, ClassTable
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools import export
from data.tools.exports.cityscapes import city_names
from data.tools.exports.union import Union
from tests.data.exports.helpers import (
    CITYSCAPES,
    SIZE,
    by_content,
    ignoring,
    pair_of,
    picture,
    sets_of,
    table_of,
    write_set,
)


def test_cityscapes_comes_back_through_its_parser(make, tmp_path, run_ingest) -> None:
    ids = ["aachen_000000_000019", "real_000000_000000", "Aachen_000000_000019", "x/y"]
    root, out = make(CITYSCAPES, ids), tmp_path / "out"
    assert any(34 in pair.label for pair in PairSet(root / "train").pairs()), "licence plates"
    export.main([root], out, to="cityscapes")
    again = run_ingest("again", source="cityscapes", root=out, height=SIZE[0], width=SIZE[1])
    for split, pairs in sets_of(root).items():
        read = PairSet(again / split)
        assert read.classes == pairs.classes
        assert by_content(read) == by_content(pairs)
    rows = table_of(out)
    names = {pair: row["name"] for pair, row in rows.items()}
    assert sorted(PairSet(again / "train").ids() + PairSet(again / "val").ids()) == sorted(
        names.values()
    )
    assert names["aachen_000000_000019"] == "aachen_000000_000019"
    assert names["semi_da-0000002"] == "semi-da_000000_000002"
    assert names["x/y"] == "real-more_000000_000001" and names["v1"] == "real-more_000001_000001"


def test_cityscapes_train_ids_are_those_of_the_release(make, tmp_path) -> None:
    export.main([make(CITYSCAPES, ["a", "b", "c"])], tmp_path / "out", to="cityscapes")
    # cityscapesScripts, helpers/labels.py: id -> trainId
    known = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11}
    known |= {25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    files = sorted((tmp_path / "out/gtFine").rglob("*_labelIds.png"))
    assert len(files) == 8
    for file in files:
        ids = picture(file)
        train_ids = picture(file.with_name(file.name.replace("labelIds", "labelTrainIds")))
        expected = np.vectorize(lambda value: known.get(value, IGNORE))(ids)
        np.testing.assert_array_equal(train_ids, expected)


def test_city_names_are_different_in_all_splits(make) -> None:
    splits = {
        split: Union([pairs])
        for split, pairs in sets_of(make(CITYSCAPES, [f"id {key}" for key in range(9)])).items()
    }
    names = city_names(splits)
    assert len({name.lower() for name in names.values()}) == len(names) == 14


def test_other_classes_are_not_passed_off_as_cityscapes(make, tmp_path) -> None:
    with pytest.raises(UserError, match=r"other classes than Cityscapes \(rest\).*--to mmseg"):
        export.main([make()], tmp_path / "out", to="cityscapes")
    longer = ClassTable((*CITYSCAPES.classes, ClassInfo("kiosk", (1, 1, 1))))
    with pytest.raises(UserError, match="other classes than Cityscapes"):
        write_set(tmp_path / "longer", longer, [pair_of(0, "a", "real", longer)])
        export.main([tmp_path / "longer"], tmp_path / "out", to="cityscapes")


def test_ignored_pixels_are_no_licence_plates(tmp_path) -> None:
    pairs = ignoring(tmp_path / "set", CITYSCAPES)
    with pytest.raises(UserError, match=r"the label of 's' has ignored pixels"):
        export.main([pairs], tmp_path / "out", to="cityscapes")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
