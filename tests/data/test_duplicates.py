"""Nearly equal pictures are found across splits, and different ones are not called so."""

import io

import numpy as np
import pytest
from PIL import Image

from data.sources import duplicates
from data.sources.duplicates import MAX_BITS, near_duplicates, picture_hash


def scene(key: int, shift: int = 0, size: tuple[int, int] = (240, 160)) -> Image.Image:
    """Return a smooth picture; `shift` moves the camera by so many pixels."""
    rng = np.random.default_rng(key)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 14, 3), np.uint8))
    wide = coarse.resize((size[0] + 40, size[1]), Image.Resampling.BICUBIC)
    return wide.crop((shift, 0, shift + size[0], size[1]))


def bits(one: Image.Image, other: Image.Image) -> int:
    return (picture_hash(one) ^ picture_hash(other)).bit_count()


def compressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer)


@pytest.mark.parametrize("key", range(4))
def test_the_same_scene_has_nearly_the_same_hash(key) -> None:
    first = scene(key)
    assert bits(first, compressed(first)) <= 2
    assert bits(first, first.resize((64, 48), Image.Resampling.BICUBIC)) <= 4
    assert bits(first, first.point(lambda v: v * 0.8 + 10)) <= 2
    assert bits(first, scene(key, shift=2)) <= MAX_BITS
    assert bits(first, scene(key + 100)) > MAX_BITS


def test_pictures_of_one_shade_have_no_hash() -> None:
    assert picture_hash(Image.new("RGB", (64, 64), (90, 90, 90))) is None
    plain = {"a": [("x", None)], "b": [("y", None)]}
    assert near_duplicates(plain) == {}


def test_the_frames_of_a_video_are_named_once_each() -> None:
    frames = [(f"f{i}", picture_hash(scene(1, shift=i))) for i in range(10)]
    others = [(f"o{i}", picture_hash(scene(50 + i))) for i in range(10)]
    found = near_duplicates({"train": frames[::2] + others[:5], "val": frames[1::2] + others[5:]})
    near = found["train", "val"]
    assert sorted(entry.second for entry in near) == ["f1", "f3", "f5", "f7", "f9"]
    assert all(entry.first.startswith("f") for entry in near)
    assert [entry.bits for entry in near] == sorted(entry.bits for entry in near)


def test_every_two_splits_are_compared_blockwise_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    values = [int(v) for v in rng.integers(0, 2**63, 700)]
    copies = [value ^ (1 << 63) ^ 7 for value in values[:300]]  # 4 bits away
    found = near_duplicates(
        {
            "train": [(f"t{i}", v) for i, v in enumerate(values)],
            "val": [(f"v{i}", v) for i, v in enumerate(copies)],
            "test": [(f"e{i}", v) for i, v in enumerate(rng.integers(0, 2**63, 300).tolist())],
        }
    )
    assert list(found) == [("train", "val")]
    assert {(n.first, n.second, n.bits) for n in found["train", "val"]} == {
        (f"t{i}", f"v{i}", 4) for i in range(300)
    }


def test_the_warning_counts_all_and_names_the_nearest(capsys) -> None:
    value = 0x0F0F_1234_5678_9ABC
    pictures = [("train", "a", value)] + [("val", f"b{i:02d}", value ^ 1) for i in range(12)]
    duplicates.warn(pictures)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "12 images of val nearly equal one of train" in captured.err
    assert "a ~ b00 (1)" in captured.err and "and 2 others" in captured.err
    duplicates.warn([("train", "a", value), ("val", "b", ~value & (2**64 - 1))])
    assert capsys.readouterr().err == ""


def test_ingest_warns_of_frames_in_two_splits_and_goes_on(
    folder, files, run_ingest, capsys
) -> None:
    for index in range(10):
        scene(index // 5, shift=index % 5, size=(60, 40)).save(
            folder / "photos" / f"p{index:02d}.jpg"
        )
    out = run_ingest(source="folder", root=folder, folder=files.folder)
    assert (out / "train" / "manifest.json").is_file()
    line = capsys.readouterr().err
    assert "warning: 2 images of val nearly equal one of train" in line and "photos-p" in line
    grouped = files.folder | {"split": "glob", "glob": {"train": "photos/p0[0-4].jpg"}}
    grouped["glob"]["val"] = "photos/p0[5-9].jpg"
    run_ingest("other", source="folder", root=folder, folder=grouped)
    assert "warning" not in capsys.readouterr().err
