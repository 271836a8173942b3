"""Pair sets: what is written comes back, unfinished and damaged sets are refused."""

import io
import json

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import Cut, PairSet, ShardWriter
from data.stage.errors import UserError

CLASSES = ClassTable(
    (
        ClassInfo("road", (128, 64, 128)),
        ClassInfo("sky", (70, 130, 180)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
SIZE = (8, 16)


def make_pair(index, source="real", **extra):
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    label = rng.integers(0, 3, SIZE, dtype=np.uint8)
    return Pair(f"{source}-{index}", image, label, source, **extra)


def write(out, pairs, **options):
    with ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="f", **options) as writer:
        for pair in pairs:
            writer.write(pair)
    return PairSet(out)


def assert_equal(pair, other):
    for name, value in vars(pair).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@pytest.fixture
def semi_pair():
    return make_pair(
        7,
        "semi",
        target=np.array([0.25, 0.5, 0.25], np.float32),
        parent="real-3",
        edited=np.arange(128).reshape(SIZE) > 60,
        seed=2**40 + 7,
    )


def test_pairs_come_back_as_written(tmp_path, semi_pair):
    pairs = [*(make_pair(i) for i in range(150)), semi_pair]
    read = write(tmp_path / "set", pairs, cut=Cut(rows=100))
    assert [shard.name for shard in read.shards] == ["real-00000.parquet", "real-00001.parquet"]
    for row in (0, 63, 64, 99, 100, 149, 150):
        assert_equal(pairs[row], read[row])
    assert read.manifest["sources"] == {"real": 150, "semi": 1}
    assert read.select("semi").tolist() == [150]


def test_plain_columns_need_no_decoding(tmp_path, semi_pair):
    pairs = [make_pair(0), semi_pair]
    read = write(tmp_path / "set", pairs)
    np.testing.assert_array_equal(
        read.column("palette"), [palette_of(pair.label, 3) for pair in pairs]
    )
    assert np.isnan(read.column("target")[0]).all()
    np.testing.assert_array_equal(read.column("target")[1], semi_pair.target)
    assert read.column("parent") == [None, "real-3"]
    frame = pd.read_parquet(read.shards[0], columns=["id", "palette", "source", "seed"])
    assert frame["source"].tolist() == ["real", "semi"]
    assert frame["palette"][0] == pytest.approx(palette_of(pairs[0].label, 3))


def test_equal_pairs_give_equal_bytes(tmp_path):
    first, second = (
        write(tmp_path / name, [make_pair(i) for i in range(70)]) for name in ("a", "b")
    )
    assert first.shards[0].read_bytes() == second.shards[0].read_bytes()
    assert first.manifest == second.manifest


def test_shards_of_another_set_are_copied_byte_for_byte(tmp_path, semi_pair):
    real = write(tmp_path / "real", [make_pair(i) for i in range(5)])
    out = tmp_path / "semi"
    with ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="f", prefix="semi") as writer:
        writer.add_shards_of(real)
        writer.write(semi_pair)
    both = PairSet(out)
    assert both.shards[0].read_bytes() == real.shards[0].read_bytes()
    assert both.ids() == [*real.ids(), "semi-7"]
    assert_equal(both[5], semi_pair)


def test_an_unfinished_set_is_refused(tmp_path):
    out = tmp_path / "set"
    with (
        pytest.raises(RuntimeError),
        ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="f", cut=Cut(rows=2)) as writer,
    ):
        for index in range(3):
            writer.write(make_pair(index))
        raise RuntimeError("power cut")
    assert (out / "real-00000.parquet").is_file()
    with pytest.raises(UserError, match=r"no manifest\.json.*did not finish"):
        PairSet(out)


def test_a_repeated_id_is_refused(tmp_path):
    with pytest.raises(UserError, match="'real-1' occurs twice"):
        write(tmp_path / "set", [make_pair(1), make_pair(1)])


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        write(tmp_path, [make_pair(0)])


def test_an_altered_manifest_is_found(tmp_path):
    write(tmp_path / "set", [make_pair(0)])
    file = tmp_path / "set/manifest.json"
    content = json.loads(file.read_text())
    content["num_pairs"] = 2
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="altered"):
        PairSet(tmp_path / "set")


def test_a_shard_cut_short_is_found(tmp_path):
    shard = write(tmp_path / "set", [make_pair(0)]).shards[0]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"real-00000\.parquet is missing or cut short"):
        PairSet(tmp_path / "set")


def test_a_flipped_byte_in_an_image_is_found_when_it_is_read(tmp_path):
    shard = write(tmp_path / "set", [make_pair(i) for i in range(3)]).shards[0]
    content = bytearray(shard.read_bytes())
    position = content.index(b"IDAT") + 20
    content[position] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged"):
        PairSet(tmp_path / "set")[0]


def test_hugging_face_datasets_decodes_a_set_offline(tmp_path, semi_pair):
    read = write(tmp_path / "set", [make_pair(0), semi_pair])
    loaded = datasets.load_dataset(
        "parquet", data_files=[str(s) for s in read.shards], cache_dir=str(tmp_path / "cache")
    )["train"]
    row = loaded[1]
    np.testing.assert_array_equal(np.asarray(row["image"]), semi_pair.image)
    np.testing.assert_array_equal(np.asarray(row["label"]), semi_pair.label)
    np.testing.assert_array_equal(np.asarray(row["edited"]) > 0, semi_pair.edited)
    assert row["source"] == "semi" and row["parent"] == "real-3"


def test_stored_images_are_plain_png(tmp_path):
    read = write(tmp_path / "set", [make_pair(0)])
    content = pd.read_parquet(read.shards[0])["label"][0]["bytes"]
    with Image.open(io.BytesIO(content)) as label:
        assert (label.format, label.mode, label.size) == ("PNG", "L", (16, 8))
