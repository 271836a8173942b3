"""What sources share: patterns of files, pairs by stem, and values of the class table."""

from pathlib import Path

import numpy as np
import pytest

from data.sources.files import by_name, by_stem, distinct, glob_files, to_ids
from data.stage.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def names(files) -> list[str]:
    return [file.name for file in files]


def test_endings_match_in_any_case_and_names_as_they_are(tmp_path) -> None:
    touch(tmp_path, "a/One.JPG", "a/two.jpg", "a/three.Jpg", "a/four.jpeg", "A/five.jpg")
    assert names(glob_files(tmp_path, "a/*.jpg", "k")) == ["One.JPG", "three.Jpg", "two.jpg"]
    assert names(glob_files(tmp_path, "a/*.JPG", "k")) == ["One.JPG", "three.Jpg", "two.jpg"]
    assert names(glob_files(tmp_path, "a/O*.jpg", "k")) == ["One.JPG"]
    assert names(glob_files(tmp_path, "a/*.jp*g", "k")) == ["four.jpeg", "two.jpg"]


def test_hidden_files_folders_and_circles_are_left_out(tmp_path) -> None:
    touch(tmp_path, "a/one.png", "a/._one.png", "a/folder.png/x")
    (tmp_path / "a" / "round").symlink_to(tmp_path / "a")
    assert names(glob_files(tmp_path, "a/**/*.png", "k")) == ["one.png"]


@pytest.mark.parametrize("pattern", ["/etc/*.png", "", "../*.png", "a/../../*.png"])
def test_patterns_that_are_none_are_refused(tmp_path, pattern) -> None:
    with pytest.raises(
        UserError, match=r"dataset\.folder\.images = .* is not a pattern of files"
    ) as e:
        glob_files(tmp_path, pattern, "dataset.folder.images")
    assert "\n" not in str(e.value)


def test_stems_or_paths_below_a_folder(tmp_path) -> None:
    files = [tmp_path / "v1" / "0_mask.png", tmp_path / "v2" / "0_mask.png"]
    with pytest.raises(UserError, match="have the same stem '0'; rename one"):
        by_stem(files, "_mask")
    named = [(file.relative_to(tmp_path).with_suffix("").as_posix(), file) for file in files]
    assert list(by_name(named, "_mask")) == ["v1/0", "v2/0"]


@pytest.mark.parametrize("spread", [1, 1000, 2**22])
def test_values_are_counted_and_mapped_alike_in_any_band(monkeypatch, spread) -> None:
    monkeypatch.setattr("data.sources.reading.pixels.BAND_PIXELS", 64)
    values = np.random.default_rng(0).integers(0, 5, (37, 23)).astype(np.int32) * spread
    found, counts = distinct(values)
    expected = np.unique(values, return_counts=True)
    assert (found == expected[0]).all() and (counts == expected[1]).all()
    table = {int(value): 9 - index for index, value in enumerate(found)}
    ids = to_ids(values, table, Path("m.png"), "known")
    assert ids.dtype == np.uint8 and (ids == 9 - values // spread).all()
    del table[4 * spread]
    with pytest.raises(UserError, match=rf"m\.png has .*: {4 * spread} \({counts[4]} pixels\); kn"):
        to_ids(values, table, Path("m.png"), "known")
