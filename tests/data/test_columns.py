"""What other programs see of a shard: plain columns, and a schema that is complete."""

from dataclasses import fields, replace
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.schema import COLUMNS, COMPRESSION, schema
from data.pairs.shards import Cut, PairSet, ShardWriter

SIZE = (8, 16)
CLASSES = ClassTable((ClassInfo("road", (1, 2, 3)), ClassInfo("sky", (4, 5, 6), eval=False)))


@pytest.fixture
def pairs(tmp_path: Path) -> PairSet:
    """5 real pairs, and 2 synthetic ones with targets, in three shards."""
    rng = np.random.default_rng(0)
    with ShardWriter(
        tmp_path / "set", classes=CLASSES, size=SIZE, fingerprint="f", cut=Cut(rows=3)
    ) as writer:
        for index in range(7):
            image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
            label = rng.integers(0, 2, SIZE, np.uint8)
            made = {"target": np.array([0.25, 0.75], np.float32), "seed": 2**40 + index}
            is_real = index < 5
            source = "real" if is_real else "semi"
            writer.write(Pair(f"p{index}", image, label, source, **({} if is_real else made)))
    return PairSet(tmp_path / "set")


def test_the_schema_has_every_column_of_the_design() -> None:
    encoded = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert dict(zip(schema(CLASSES, SIZE).names, schema(CLASSES, SIZE).types, strict=True)) == {
        "id": pa.string(),
        "image": encoded,
        "label": encoded,
        "palette": pa.list_(pa.float32()),
        "target": pa.list_(pa.float32()),
        "source": pa.dictionary(pa.int8(), pa.string()),
        "group": pa.string(),
        "parent": pa.string(),
        "style": pa.string(),
        "donors": pa.list_(pa.string()),
        "edited": encoded,
        "seed": pa.int64(),
        "sha256": pa.string(),
    }


def test_a_pair_has_every_column_that_does_not_follow_from_its_pictures() -> None:
    computed = {column.name for column in COLUMNS if column.computed}
    assert computed == {"palette", "sha256"}
    assert {field.name for field in fields(Pair)} == {c.name for c in COLUMNS} - computed


def test_every_leaf_of_a_shard_is_compressed_as_its_column_says(pairs) -> None:
    group = pq.ParquetFile(pairs.shards[0]).metadata.row_group(0)
    found = [group.column(number) for number in range(group.num_columns)]
    kinds = {"UNCOMPRESSED": "none", "ZSTD": "zstd"}
    assert {leaf.path_in_schema: kinds[leaf.compression] for leaf in found} == COMPRESSION


def test_what_a_pair_says_of_itself_comes_back(tmp_path) -> None:
    rng = np.random.default_rng(1)
    image, label = rng.integers(0, 256, (*SIZE, 3), np.uint8), rng.integers(0, 2, SIZE, np.uint8)
    said = {"group": "video 1", "parent": "a", "style": "b", "donors": ("a", "c"), "seed": 3}
    bare = Pair("bare", image, label, "real")
    with ShardWriter(tmp_path / "set", classes=CLASSES, size=SIZE, fingerprint="f") as writer:
        writer.write(replace(bare, id="full", edited=label > 0, **said))
        writer.write(bare)
    full, plain = PairSet(tmp_path / "set").pairs()
    assert {name: getattr(full, name) for name in said} == said
    np.testing.assert_array_equal(full.edited, label > 0)
    assert {getattr(plain, name) for name in (*said, "edited", "target")} == {None}
    assert PairSet(tmp_path / "set").column("donors") == [["a", "c"], None]


def test_pandas_reads_palettes_of_all_shards_as_numbers(pairs) -> None:
    columns = ["id", "palette", "target", "source", "seed"]
    frame = pd.concat([pd.read_parquet(shard, columns=columns) for shard in pairs.shards])
    assert frame["id"].tolist() == pairs.ids()
    palettes = np.stack(frame["palette"].to_list())
    assert palettes.dtype == np.float32
    np.testing.assert_array_equal(
        palettes, [palette_of(pair.label, CLASSES.num_classes) for pair in pairs.pairs()]
    )
    assert frame["target"].isna().tolist() == [True] * 5 + [False] * 2
    assert frame["seed"].dropna().astype("int64").tolist() == [2**40 + 5, 2**40 + 6]
    assert frame["source"].value_counts().to_dict() == {"real": 5, "semi": 2}


def test_pyarrow_filters_and_reads_palettes_as_numbers(pairs) -> None:
    table = ds.dataset([str(shard) for shard in pairs.shards]).to_table(
        columns=["id", "palette", "source"], filter=ds.field("source") == "semi"
    )
    assert table["id"].to_pylist() == ["p5", "p6"]
    flat = table["palette"].combine_chunks().flatten()
    assert flat.type == pa.float32()
    np.testing.assert_array_equal(
        flat.to_numpy().reshape(2, 2), [palette_of(pairs[row].label, 2) for row in (5, 6)]
    )


def test_no_image_is_read_for_a_plain_column(pairs) -> None:
    # the bytes of all images are spoilt: a reader of plain columns does not notice
    shard = pairs.shards[0]
    palettes = pq.read_table(shard, columns=["palette"])
    spoilt = shard.read_bytes().replace(b"IDAT", b"XXXX")
    assert spoilt != shard.read_bytes()
    shard.write_bytes(spoilt)
    assert pq.read_table(shard, columns=["palette"]).equals(palettes)


def test_hugging_face_knows_the_types_and_streams(pairs) -> None:
    features = datasets.Features.from_arrow_schema(schema(CLASSES, SIZE))
    pictures = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    assert pictures == ["image", "label", "edited"]
    assert features["palette"] == datasets.List(datasets.Value("float32"))
    assert features["donors"] == datasets.List(datasets.Value("string"))
    files = [str(shard) for shard in pairs.shards]
    stream = datasets.load_dataset("parquet", data_files=files, streaming=True, split="train")
    for row, pair in zip(stream, pairs.pairs(), strict=True):
        np.testing.assert_array_equal(np.asarray(row["image"]), pair.image)
        np.testing.assert_array_equal(np.asarray(row["label"]), pair.label)
