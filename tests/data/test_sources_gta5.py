"""GTA-5: splits by split.mat, labels by their index whatever the palette."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from data.sources import gta5
from data.sources.files import read_values
from data.stage.errors import UserError


@pytest.fixture
def gta5_folder(request) -> Path:
    return request.getfixturevalue("gta5")


def test_splits_are_those_of_the_file(gta5_folder) -> None:
    pairs = gta5.find(gta5_folder, ["train", "val", "test"], gta5.Config())
    ids = {s: [p.id for p in pairs if p.split == s] for s in ("train", "val", "test")}
    assert ids == {
        "train": ["00001", "00003", "00006"],
        "val": ["00002", "00005"],
        "test": ["00004"],
    }


def test_the_index_is_the_class(gta5_folder) -> None:
    pair = gta5.find(gta5_folder, ["val"], gta5.Config())[0]
    label = gta5.read_label(pair, gta5.Config())
    np.testing.assert_array_equal(label, read_values(pair.label))
    assert gta5.class_table(gta5.Config()).names[26] == "car"


def test_what_is_missing_is_named(gta5_folder) -> None:
    (gta5_folder / "images/00003.png").unlink()
    with pytest.raises(UserError, match=r"names 1 images that .*images has not: 00003; unpack"):
        gta5.find(gta5_folder, ["train"], gta5.Config())
    (gta5_folder / "labels/00005.png").unlink()
    with pytest.raises(UserError, match=r"00005\.png has no label '00005'"):
        gta5.find(gta5_folder, ["val"], gta5.Config())


def test_a_broken_list_ends_in_one_line(gta5_folder) -> None:
    for content in (b"", b"MATLAB 5.0 MAT-file" + bytes(range(200)), b"x" * 300):
        (gta5_folder / "split.mat").write_bytes(content)
        with pytest.raises(
            UserError, match="is not readable as a MATLAB file with trainIds"
        ) as caught:
            gta5.find(gta5_folder, ["train"], gta5.Config())
        assert "\n" not in str(caught.value)
    savemat(gta5_folder / "split.mat", {"other": [1]})
    with pytest.raises(UserError, match="with valIds"):
        gta5.find(gta5_folder, ["val"], gta5.Config())
    (gta5_folder / "split.mat").unlink()
    with pytest.raises(UserError, match=r"split\.mat is missing"):
        gta5.find(gta5_folder, ["val"], gta5.Config())
