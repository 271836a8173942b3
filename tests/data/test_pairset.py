"""Reading sets that somebody else may have made: one sentence that names the file, or the pair."""

import io
import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.manifest import sealed
from data.pairs.pair import Pair
from data.pairs.schema import COMPRESSION
from data.pairs.shards import MANIFEST, Cut, PairSet, ShardWriter
from data.stage.errors import UserError

CLASSES = ClassTable((ClassInfo("road", (128, 64, 128)), ClassInfo("sky", (70, 130, 180))))
SIZE = (16, 24)
SHARD = "real-00000.parquet"


def write(out: Path, count: int = 6, size: tuple[int, int] = SIZE, **options: Any) -> PairSet:
    with ShardWriter(out, classes=CLASSES, size=size, fingerprint="f", **options) as writer:
        for index in range(count):
            rng = np.random.default_rng(index)
            image = rng.integers(0, 256, (*size, 3), np.uint8)
            edited = image[..., 1] > 99 if index % 2 else None
            writer.write(Pair(f"p{index}", image, image[..., 0] % 2, "real", edited=edited))
    return PairSet(out)


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and give it the hash that belongs to it, as an attacker would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(sealed(manifest)))


def fit(folder: Path) -> None:
    """Let the manifest know the length that the first shard has now."""
    size = (folder / SHARD).stat().st_size
    reseal(folder, lambda manifest: manifest["shards"][0].update(bytes=size))


def forge(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> PairSet:
    """Write the first shard again with other rows, and a manifest that fits."""
    table = pq.read_table(folder / SHARD)
    rows = table.to_pylist()
    change(rows)
    changed = pa.Table.from_pylist(rows, schema=table.schema)
    options = {"compression": COMPRESSION, "use_dictionary": ["source"]}
    pq.write_table(changed, folder / SHARD, write_page_checksum=True, **options)
    fit(folder)
    return PairSet(folder)


def png(array: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def refused(match: str, act: Callable[[], Any]) -> None:
    with pytest.raises(UserError, match=match) as caught:
        act()
    assert "\n" not in str(caught.value)


# == the manifest ==


@pytest.mark.parametrize(
    "name",
    [
        "../real-00000.parquet",
        "/etc/real-00000.parquet",
        "sub/real-00000.parquet",
        "..",
        "",
        "real-00000.parquet\0",
        "manifest.json",
        "réal-00000.parquet",
    ],
)
def test_a_name_that_is_no_shard_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "set")
    reseal(tmp_path / "set", lambda manifest: manifest["shards"][0].update(name=name))
    refused(r"manifest\.json lists .* not the name of a shard", lambda: PairSet(tmp_path / "set"))


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder)
    outside = tmp_path / "outside"
    for target in (outside, folder / SHARD):  # another file, and itself
        if target == outside:
            (folder / SHARD).rename(outside)
        else:
            (folder / SHARD).unlink()
        (folder / SHARD).symlink_to(target)
        refused(rf"{SHARD} is a link", lambda: PairSet(folder))
    (folder / SHARD).unlink()
    os.mkfifo(folder / SHARD)
    refused(rf"{SHARD} is missing", lambda: PairSet(folder))
    (folder / MANIFEST).rename(outside)
    (folder / MANIFEST).symlink_to(outside)
    refused(r"no manifest\.json", lambda: PairSet(folder))


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"size": [16, 10**6]}, "size"),
        ({"size": ["16", 24]}, "size"),
        ({"classes": [{"name": str(i), "color": [0, 0, 0], "eval": True} for i in range(256)]}, ""),
        ({"classes": [{"name": "a", "color": [0, 0, 999], "eval": True}]}, "color"),
        ({"classes": [{"name": "a", "color": [0, 0, 0], "eval": True, "mirror": "b"}]}, ""),
        ({"num_pairs": 7}, "number of pairs"),
        ({"sources": {"real": 2}}, "number of pairs"),
        ({"version": 99}, "version 99"),
        ({"version": 1}, r"has version 1, this program reads 2; .*run ingest again"),
        ({"starts_from": "artifacts/real/train"}, "starts_from"),
        ({"origin": []}, "origin"),
        ({"shards": {}}, "shards"),
        ({"more": 1}, "more"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    tmp_path: Path, change: dict[str, Any], fact: str
) -> None:
    write(tmp_path / "set")
    reseal(tmp_path / "set", lambda manifest: manifest.update(change))
    refused(rf"manifest\.json .*{fact}", lambda: PairSet(tmp_path / "set"))


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}'])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "set")
    (tmp_path / "set" / MANIFEST).write_bytes(content)
    refused(r"manifest\.json was altered", lambda: PairSet(tmp_path / "set"))


# == shards ==


def read_all(pairs: PairSet) -> None:
    assert len(pairs.ids()) == len(list(pairs.pairs()))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_shard_is_named_even_if_the_manifest_agrees(
    tmp_path: Path, keep: float
) -> None:
    shard = write(tmp_path / "set").shards[0]
    content = shard.read_bytes()
    shard.write_bytes(content[: int(len(content) * keep)] + b"PAR1")
    fit(tmp_path / "set")
    pairs = PairSet(tmp_path / "set")
    refused(rf"{SHARD} is damaged", lambda: pairs[0])
    refused(rf"{SHARD} is damaged", pairs.ids)


def test_a_shard_that_becomes_shorter_while_it_is_read_is_named(tmp_path: Path) -> None:
    pairs = write(tmp_path / "set")
    pairs.arrays(0)
    pairs.shards[0].write_bytes(b"")
    refused(rf"{SHARD} is damaged", lambda: pairs.arrays(1))


def test_labels_are_read_without_images_and_refused_like_them(tmp_path: Path) -> None:
    pairs = write(tmp_path / "set")
    whole = [pair.label for pair in pairs.pairs()]
    assert np.array_equal(pairs.labels([4, 1]), [whole[4], whole[1]])
    assert pairs.labels([]).shape == (0, *SIZE)

    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["image"]["bytes"] = b"no image"
        rows[1]["label"]["bytes"] = png(np.full(SIZE, 7, np.uint8))
        rows[2]["label"]["bytes"] = png(np.zeros((8, 8), np.uint8))

    forged = forge(tmp_path / "set", change)
    assert np.array_equal(forged.labels([0, 3]), [whole[0], whole[3]])
    refused("'p1': label has ids that are none of the 2 classes", lambda: forged.labels([1]))
    refused("'p2': label ", lambda: forged.labels([2]))


def test_another_schema_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "set")
    rows = [{"id": f"p{index}", "image": b"", "label": b""} for index in range(6)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set" / SHARD)
    fit(tmp_path / "set")
    pairs = PairSet(tmp_path / "set")
    refused(rf"{SHARD} .*columns are not those", lambda: pairs[0])
    refused(rf"{SHARD} .*columns are not those", lambda: pairs.column("source"))


def test_a_shard_of_other_classes_or_another_number_of_rows_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "set")
    write(tmp_path / "large", size=(32, 48))
    (tmp_path / "large" / SHARD).replace(tmp_path / "set" / SHARD)
    fit(tmp_path / "set")
    refused("other classes or another size", lambda: PairSet(tmp_path / "set")[0])
    write(tmp_path / "more")
    more = forge(tmp_path / "more", lambda rows: rows.append(rows[0] | {"id": "p6"}))
    refused("it has 7 rows", lambda: more[0])


def test_an_id_that_occurs_twice_is_named(tmp_path: Path) -> None:
    write(tmp_path / "set")
    pairs = forge(tmp_path / "set", lambda rows: rows[4].update(id="p1"))
    refused("'p1' occurs twice", pairs.ids)


def test_a_set_written_again_by_another_program_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder)
    pq.write_table(pq.read_table(folder / SHARD), folder / SHARD, compression="zstd")
    fit(folder)
    refused(rf"{SHARD} .*written by others", lambda: PairSet(folder)[0])


# == pictures ==


def encoded(content: bytes | None) -> dict[str, Any]:
    return {"bytes": content, "path": "/etc/passwd"}  # a label, never opened


GREY = np.zeros(SIZE, np.uint8)


@pytest.mark.parametrize(
    ("column", "content", "fact"),
    [
        ("image", bomb(60_000, 60_000), "is not an intact PNG or JPEG or WEBP"),
        ("image", bomb(12_000, 9_000), "is not an intact PNG or JPEG or WEBP"),
        ("image", bomb(24, 17), "is 24x17 pixels, the set 24x16"),
        ("image", png(np.zeros((*SIZE, 3), np.uint8))[:-30], "is not an intact"),
        ("image", png(np.zeros((*SIZE, 4), np.uint8)), "has the mode RGBA"),
        ("image", png(GREY.astype(np.uint16)), "has the mode I;16"),
        ("image", b"", "is not an intact"),
        ("image", b"GIF89a" + bytes(100), "is not an intact"),
        ("label", png(GREY, "JPEG"), "is not an intact PNG"),
        ("label", png(np.zeros((*SIZE, 3), np.uint8)), "has the mode RGB"),
        ("label", png(GREY + 2), "ids that are none of the 2 classes"),
        ("label", None, "is missing"),
        ("edited", png(np.zeros((3, 3), np.uint8)), "is 3x3 pixels"),
    ],
)
def test_a_picture_that_does_not_fit_is_named_with_shard_and_pair(
    tmp_path: Path, column: str, content: bytes | None, fact: str
) -> None:
    write(tmp_path / "set")
    pairs = forge(tmp_path / "set", lambda rows: rows[3].update({column: encoded(content)}))
    assert pairs[2].id == "p2"
    refused(rf"{SHARD}: pair 'p3': {column} .*{fact}", lambda: pairs[3])


def test_palettes_of_another_length_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "set")
    pairs = forge(tmp_path / "set", lambda rows: rows[3].update(palette=[0.1] * 35))
    refused("palettes do not have 2 shares", lambda: pairs.column("palette"))


# == what reading costs ==


def test_memory_is_flat_in_the_number_of_shards(tmp_path: Path) -> None:
    def kept(shards: int) -> int:
        """Return the bytes that remain after every pair was read, in an order of chance."""
        count = 16 * shards
        pairs = write(tmp_path / str(shards), count, size=(32, 48), cut=Cut(rows=16))
        assert len(pairs.shards) == shards
        files = len(list(Path("/proc/self/fd").iterdir()))
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        for row in np.random.default_rng(0).permutation(count):
            assert pairs[int(row)].id == f"p{row}"
        grown = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before
        tracemalloc.stop()
        assert len(list(Path("/proc/self/fd").iterdir())) == files
        return grown

    few, many = kept(4), kept(40)
    encoded_bytes = 36 * 16 * 32 * 48 * 3
    assert many - few < encoded_bytes / 10, (few, many)


def test_a_writer_holds_one_row_group_whatever_it_writes(tmp_path: Path) -> None:
    def peak(groups: int) -> int:
        most = 0
        tracemalloc.start()
        with ShardWriter(
            tmp_path / str(groups), classes=CLASSES, size=(32, 48), fingerprint="f"
        ) as writer:
            for index in range(64 * groups):
                rng = np.random.default_rng(index)
                image = rng.integers(0, 256, (32, 48, 3), np.uint8)
                writer.write(Pair(f"p{index}", image, image[..., 0] % 2, "real"))
                most = max(most, pa.total_allocated_bytes())
        most += tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    group = 64 * 32 * 48 * 3
    assert peak(10) < peak(2) + group


def test_a_shard_ends_before_it_grows_too_large(tmp_path: Path) -> None:
    one = sum(len(content or b"") for content in write(tmp_path / "one", 1).encoded(0))
    pairs = write(tmp_path / "set", 10, cut=Cut(most_bytes=3 * one))
    rows = [entry["rows"] for entry in pairs.manifest["shards"]]
    assert len(rows) >= 3 and max(rows) <= 4 and sum(rows) == 10
    assert [pair.id for pair in pairs.pairs()] == [f"p{index}" for index in range(10)]


def test_pictures_lie_where_they_are_read_across_pages_and_groups(tmp_path: Path) -> None:
    """Large pictures fill a page of 1 MB each few rows; equal labels follow each other."""
    size = (256, 384)
    images = [np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8) for i in range(3)]
    with ShardWriter(tmp_path, classes=CLASSES, size=size, fingerprint="f") as writer:
        for index in range(70):
            label = np.full(size, index % 2, np.uint8)
            edited = label > 0 if index % 5 == 0 else None
            writer.write(Pair(f"p{index}", images[index % 3], label, "real", edited=edited))
    pairs = PairSet(tmp_path)
    for row in (69, 3, 64, 0, 35, 63):
        pair = pairs[row]
        np.testing.assert_array_equal(pair.image, images[row % 3])
        assert (pair.label == row % 2).all()
        assert (pair.edited is None) == bool(row % 5)
        stored = pq.read_table(pairs.shards[0], columns=["image"]).column("image")[row].as_py()
        assert pairs.encoded(row, ("image",)) == [stored["bytes"]]


# == labels alone ==


def test_labels_are_those_of_the_pairs_and_no_image_is_decoded(tmp_path: Path, monkeypatch) -> None:
    pairs = write(tmp_path / "set", cut=Cut(rows=4))
    expected = np.stack([pairs[row].label for row in (5, 0, 5)])
    monkeypatch.setattr("data.pairs.pairset.decode_image", lambda *_: 1 / 0)
    found = pairs.labels(np.array([5, 0, 5]))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert pairs.labels([]).shape == (0, *SIZE)


def test_labels_refuse_ids_that_are_no_class(tmp_path: Path) -> None:
    write(tmp_path / "set")
    content = png(np.full(SIZE, 200, np.uint8))

    def change(rows: list[dict[str, Any]]) -> None:
        rows[1]["label"]["bytes"] = content

    spoilt = forge(tmp_path / "set", change)
    refused("pair 'p1': label has ids that are none of the", lambda: spoilt.labels([1]))
