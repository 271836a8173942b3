"""The audit says what is in a pair set; the contact sheet shows it."""

import io

import numpy as np
import pytest
from PIL import Image

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.tools import inspect
from data.tools.sheets import contact_sheet

CLASSES = ClassTable(
    (
        ClassInfo("road", (10, 20, 30)),
        ClassInfo("cat", (200, 0, 0)),
        ClassInfo("void", (0, 0, 0), False),
    )
)


@pytest.fixture
def pairs(tmp_path) -> PairSet:
    """Two pairs of 4x8: all road, and half road with one pixel of void."""
    path = tmp_path / "set"
    with ShardWriter(path, classes=CLASSES, size=(4, 8), fingerprint="0") as writer:
        for index in range(2):
            label = np.zeros((4, 8), np.uint8)
            label[:2] = index
            label[3, 7] = 2 * index
            image = np.full((4, 8, 3), 50 * index, np.uint8)
            writer.write(Pair(id=f"p{index}", image=image, label=label, source="real"))
    return PairSet(path)


def test_the_audit_counts_pairs_shares_and_images(pairs) -> None:
    lines = inspect.audit(pairs).splitlines()
    assert "2 pairs of 4x8" in lines[0] and lines[1] == "sources: real 2"
    rows = {line.split()[1]: line.split()[2:] for line in lines[4:]}
    assert rows["road"] == [f"{100 * (32 + 15) / 64:.3f}", "2", "yes"]
    assert rows["cat"] == ["25.000", "1", "yes"]
    assert rows["void"] == [f"{100 / 64:.3f}", "1", "no"]


def test_the_sheet_shows_image_over_label(pairs, tmp_path, capsys) -> None:
    inspect.main([pairs.path], out=tmp_path / "sheet.png")
    assert "contact sheet" in capsys.readouterr().out
    sheet = np.asarray(Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())))
    flat = sheet.reshape(-1, 3)
    area = (1600 // (6 * 8)) ** 2
    for color, pixels in (((50, 50, 50), 32), ((200, 0, 0), 16), ((10, 20, 30), 32 + 15)):
        assert (flat == color).all(1).sum() == pixels * area


def test_without_out_the_sheet_is_named_after_the_set(pairs, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    inspect.main([pairs.path])
    assert "road" in capsys.readouterr().out
    name = f"{pairs.path.parent.name}-{pairs.path.name}.png"
    assert (tmp_path / "artifacts/inspect" / name).is_file()
    assert not list(pairs.path.parent.glob("*.png")), "the folder may be an output of a stage"


def test_a_contact_sheet_has_cells_where_they_belong() -> None:
    cell = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    sheet = np.asarray(contact_sheet([[cell, cell], [cell]], ["", ""], scale=2))
    assert (sheet[4:8:2, 4:10:2] == cell).all()
    assert (sheet[4:8:2, 14:20:2] == cell).all()
    assert (sheet[12:16:2, 4:10:2] == cell).all()
    assert (sheet[12:16, 14:] == 255).all()


def test_captions_are_written_above_and_fit() -> None:
    cell = np.full((4, 4, 3), 255, np.uint8)
    sheet = np.asarray(contact_sheet([[cell]], ["a caption wider than its row"]))
    dark = np.argwhere(sheet.min(2) < 128)
    assert len(dark) > 30
    assert dark[:, 0].max() < sheet.shape[0] - 8 and dark[:, 1].max() < sheet.shape[1] - 2


def write_set(path, keys, shift: int = 0) -> None:
    """Write a set of smooth pictures; equal keys are the same scene, moved by `shift` pixels."""
    with ShardWriter(path, classes=CLASSES, size=(32, 48), fingerprint="0") as writer:
        for key in keys:
            rng = np.random.default_rng(key)
            coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
            scene = coarse.resize((64, 32), Image.Resampling.BICUBIC).crop(
                (shift, 0, shift + 48, 32)
            )
            label = np.zeros((32, 48), np.uint8)
            pair = Pair(id=f"{path.name}{key}", image=np.asarray(scene), label=label, source="real")
            writer.write(pair)


@pytest.fixture
def splits(tmp_path, monkeypatch):
    """Train and val that share two scenes, and a test split of its own scenes."""
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "real" / "train", range(6))
    write_set(tmp_path / "real" / "val", [4, 5, 10, 11], shift=1)
    write_set(tmp_path / "real" / "test", [20, 21])
    return tmp_path / "real"


def test_near_duplicates_of_the_splits_beside_a_set_are_named(splits, capsys) -> None:
    for split in ("train", "val"):
        inspect.main([splits / split])
        out = capsys.readouterr().out
        assert out.count("pairs of 32x48") == 1, "only the set that was asked for is audited"
        line = next(line for line in out.splitlines() if line.startswith("near-duplicates"))
        assert (
            f"2 images of {splits}/val nearly equal one of {splits}/train (at most 8 of 64" in line
        )
        assert "train4 ~ val4" in line and "train5 ~ val5" in line
        assert out.count("near-duplicates") == 1


def test_an_unfinished_split_beside_a_set_is_not_read(splits, capsys) -> None:
    (splits / "val" / "manifest.json").unlink()
    inspect.main([splits / "train"])
    out = capsys.readouterr().out
    assert f"none across {splits}/train, {splits}/test (hashes of two images differ in more" in out


def test_several_sets_are_audited_and_compared(splits, capsys) -> None:
    (splits / "test").rename(splits.parent / "other")
    write_set(splits.parent / "semi", [2, 20])
    inspect.main([splits / "train", splits.parent / "semi", splits.parent / "other"])
    out = capsys.readouterr().out
    assert out.count("pairs of 32x48") == 3 and out.count("contact sheet") == 3
    assert "train2 ~ semi2" in out and "semi20 ~ test20" in out and "val" not in out


def test_a_set_that_is_no_split_is_compared_with_nothing(splits, capsys) -> None:
    (splits / "train").rename(splits / "all")
    inspect.main([splits / "all"])
    assert "near-duplicates" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sets", "flags", "message"),
    [
        (None, {}, "name a pair set, such as artifacts/real/train, or use --suggest"),
        (["a"], {"suggest": True}, "--suggest takes no SET; quote the globs"),
        (None, {"suggest": True, "images": "a", "masks": "b", "out": "c"}, "takes no --out"),
        (None, {"suggest": True, "images": "a"}, "needs both --images GLOB and --masks GLOB"),
        (["a"], {"images": "a"}, "--images and --masks belong to --suggest"),
        (["a", "b"], {"out": "c"}, "--out names one contact sheet"),
    ],
)
def test_flags_that_do_not_go_together(sets, flags, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        inspect.main(sets, **flags)
    assert "\n" not in str(caught.value)
