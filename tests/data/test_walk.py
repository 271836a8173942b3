"""Every file that is listed is read or named; what is hidden is left out; names are names."""

import os
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data.sources import camvid, cityscapes
from data.sources.files import glob_files
from data.sources.reading.walk import HIDDEN, fixed_part, listed, slashed, tallied, walk
from data.sources.splits import by_list
from data.stage.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def below(root: Path, files) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


@pytest.mark.parametrize("folder", [".ipynb_checkpoints", ".AppleDouble", *HIDDEN])
@pytest.mark.parametrize("pattern", ["a/**/*.png", "a/*/*.png", "**/*.png"])
def test_hidden_folders_are_left_out_and_said(tmp_path, folder, pattern) -> None:
    touch(tmp_path, "a/day/one.png", f"a/{folder}/one-checkpoint.png")
    with tallied() as tally:
        assert below(tmp_path, listed(tmp_path, pattern)) == ["a/day/one.png"]
    assert tally.left_out() == f"hidden, and left out: {tmp_path / 'a' / folder}"


def test_a_hidden_folder_that_is_asked_for_is_read(tmp_path) -> None:
    touch(tmp_path, ".data/one.png")
    assert below(tmp_path, listed(tmp_path, ".data/*.png")) == [".data/one.png"]
    assert below(tmp_path, listed(tmp_path, ".d*/*.png")) == [".data/one.png"]


def test_every_source_leaves_hidden_files_out(camvid_root, cityscapes) -> None:
    for split in ("train", "trainannot"):
        touch(camvid_root / split, "._0001TP_006690.png", ".thumbnails/x.png")
    with tallied() as tally:
        pairs = camvid.find(camvid_root, ["train"], camvid.Config())
    assert len(pairs) == 3 and len(tally.hidden) == 2 and (tally.images, tally.labels) == (3, 3)
    touch(cityscapes / "leftImg8bit" / "train", "@eaDir/x_leftImg8bit.png")
    with tallied() as tally:
        assert len(cityscapes_source.find(cityscapes, ["train"], cityscapes_source.Config())) == 3
    assert [path.name for path in tally.hidden] == ["@eaDir"]


cityscapes_source = cityscapes


@pytest.fixture
def camvid_root(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("camvid")


def test_links_to_nothing_are_named_all_of_them(tmp_path) -> None:
    touch(tmp_path, "a/0.png")
    for number in range(1, 8):
        (tmp_path / f"a/{number}.png").symlink_to("/nowhere/x.png")
    (tmp_path / "a/notes").symlink_to("/nowhere")
    message = (
        r"^7 files or folders cannot be read: .*a/1\.png \(a link to /nowhere/x\.png, which is "
        r"missing\).*a/5\.png.* and 2 others; "
    )
    with pytest.raises(UserError, match=message):
        listed(tmp_path, "a/*.png")
    with pytest.raises(UserError, match=r"^8 files or folders"):
        listed(tmp_path, "**/*.png")
    assert below(tmp_path, listed(tmp_path, "a/0.*")) == ["a/0.png"]


def test_a_folder_that_is_a_link_to_nothing_is_named(tmp_path) -> None:
    touch(tmp_path, "day0/img/0.png")
    (tmp_path / "day1").symlink_to("/nowhere/day1")
    for pattern in ("day*/img/*.png", "**/*.png"):
        with pytest.raises(UserError, match=r"day1 \(a link to /nowhere/day1, which is missing\)"):
            listed(tmp_path, pattern)


def test_links_are_followed_and_circles_end(tmp_path) -> None:
    touch(tmp_path, "a/0.png", "elsewhere/b/1.png")
    (tmp_path / "a" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    (tmp_path / "elsewhere" / "b" / "back").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self.png").symlink_to(tmp_path / "a" / "self.png")
    with pytest.raises(UserError, match=r"a/self\.png \(Too many levels of symbolic links\)"):
        listed(tmp_path, "a/**/*.png")
    (tmp_path / "a" / "self.png").unlink()
    assert below(tmp_path, listed(tmp_path, "a/**/*.png")) == ["a/0.png", "a/b/1.png"]


def test_what_is_no_file_is_named(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png \(no regular file\) cannot be read"):
        listed(tmp_path, "*.png")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(groups)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may enter: those of pytest are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("closed", "mode", "named"),
    [
        ("day1/img/1.jpg", 0o000, r"day1/img/1\.jpg \(Permission denied\)"),
        ("day1", 0o000, r"day1 \(Permission denied\)"),
        ("day1/img", 0o000, r"day1/img \(Permission denied\)"),
        ("day1/img", 0o111, r"day1/img \(Permission denied\)"),
        ("day1", 0o444, r"day1/img \(Permission denied\)"),
        ("day1/img", 0o444, r"day1/img/1\.jpg \(Permission denied\)"),
    ],
)
@pytest.mark.parametrize("pattern", ["day*/img/*.jpg", "**/*.jpg", "day1/img/*.jpg"])
def test_what_may_not_be_read_is_named(shared, closed, mode, named, pattern) -> None:
    touch(shared, "day0/img/0.jpg", "day1/img/1.jpg")
    (shared / closed).chmod(mode)
    try:
        with as_nobody(), pytest.raises(UserError, match=named) as caught:
            listed(shared, pattern)
        assert "\n" not in str(caught.value)
    finally:
        (shared / closed).chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
@pytest.mark.parametrize("closed", ["train", "trainannot", "."])
def test_a_source_names_what_may_not_be_read(shared, files, closed, mode) -> None:
    for name in ("train/a.png", "trainannot/a.png"):
        files.save(shared / name, files.labels(0, [1]))
    shared.joinpath(closed).chmod(mode)
    if closed == "." and mode == 0o111:
        return  # what is asked for by its name may be entered
    try:
        with as_nobody(), pytest.raises(UserError, match="cannot be read"):
            camvid.find(shared, ["train"], camvid.Config())
    finally:
        shared.joinpath(closed).chmod(0o755)


def test_brackets_of_a_folder_that_exists_are_no_pattern(tmp_path) -> None:
    touch(tmp_path, "photos [2024]/a [1].jpg", "photos 2/b.jpg", "x1/c.jpg", "x2/d.jpg")
    assert below(tmp_path, listed(tmp_path, "photos [2024]/*.jpg")) == ["photos [2024]/a [1].jpg"]
    assert below(tmp_path, listed(tmp_path, "photos [2024]/a [1].jpg")) == [
        "photos [2024]/a [1].jpg"
    ]
    assert below(tmp_path, listed(tmp_path, "x[12]/*")) == ["x1/c.jpg", "x2/d.jpg"]
    assert below(tmp_path, listed(tmp_path, "x[!1]/*")) == ["x2/d.jpg"]
    assert fixed_part("photos [2024]/*.jpg", tmp_path) == Path("photos [2024]")
    assert fixed_part("x[12]/*.jpg", tmp_path) == Path()


def test_backslashes_of_windows_part_folders(tmp_path) -> None:
    touch(tmp_path, "photos/day/a.jpg", "odd\\name/b.jpg")
    assert below(tmp_path, glob_files(tmp_path, r"photos\*\*.jpg", "k")) == ["photos/day/a.jpg"]
    assert slashed("odd\\name", tmp_path) == "odd\\name"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_compared_in_one_form(tmp_path, forms) -> None:
    there, asked = (unicodedata.normalize(form, "Gem\u00fcse") for form in forms)
    touch(tmp_path, f"{there}/{there}_1.JPG")
    for pattern in (f"{asked}/*.jpg", f"{asked}/{asked}_?.jpg", f"{asked}/{asked}_1.jpg"):
        assert len(listed(tmp_path, pattern)) == 1
    (tmp_path / "list.txt").write_text(f"{asked}\\{asked}_1.jpg\n", encoding="utf-8")
    name = unicodedata.normalize("NFC", f"{there}/{there}_1")
    keys = {f"{name}.JPG": "key", name: "key"}
    assert by_list(tmp_path / "list.txt", keys, "images") == {"key"}


def test_lines_of_a_list_that_name_nothing_are_counted(tmp_path) -> None:
    (tmp_path / "list.txt").write_text("\n".join(["A", *(f"no{i}" for i in range(7))]))
    message = r"lists 'no0', which is not an image of x \(7 such lines: no0, .*no4 and 2 others\)"
    with pytest.raises(UserError, match=message):
        by_list(tmp_path / "list.txt", {"a": "a"}, "x")
    (tmp_path / "list.txt").write_text("Cell\n")
    with pytest.raises(UserError, match="lists 'Cell'"):
        by_list(tmp_path / "list.txt", {"cell": "1", "CELL": "2"}, "x")
    assert by_list(tmp_path / "list.txt", {"cell": "1"}, "x") == {"1"}


def test_what_wildcards_stand_for_is_known(tmp_path) -> None:
    touch(tmp_path, "a/s1_rgb/k/0.png")
    (found,) = walk(tmp_path, "a/*_rgb/**/*.png")
    assert found.folders == ("s1_rgb", "k") and found.stands == ("s1", "k")
    (found,) = walk(tmp_path, "a/s?_*/k/*.png")
    assert found.folders == ("s1_rgb",) and found.stands == ("1*rgb",)
