"""Every fault of a shard's file is found and named, before anything in it is believed."""

import os

import pyarrow.parquet as pq
import pytest

from tests.data.checks.forgery import forge, reseal
from tests.data.checks.helpers import REAL, found


@pytest.mark.parametrize("length", [0, 3, 11, -1])
def test_a_shard_cut_short_is_named(pairs, length) -> None:
    file = pairs / REAL
    file.write_bytes(file.read_bytes()[:length])
    (fault,) = found(pairs)
    assert fault.startswith(f"{REAL}: has ") and "the manifest says" in fault


def test_links_and_strangers(pairs) -> None:
    outside = (pairs / REAL).rename(pairs.parent / "elsewhere")
    (pairs / REAL).symlink_to(outside)
    (pairs / ".partial").mkdir()
    (pairs / "notes.txt").write_text("x")
    faults = found(pairs)
    assert faults == [
        "'.partial': is not part of the set; the manifest does not know it",
        "'notes.txt': is not part of the set; the manifest does not know it",
        f"{REAL}: is a symbolic link; a set holds its own files",
    ]


def test_a_pipe_in_place_of_a_shard_does_not_hang(pairs) -> None:
    (pairs / REAL).unlink()
    os.mkfifo(pairs / REAL)
    assert found(pairs) == [f"{REAL}: is missing"]


@pytest.mark.parametrize(
    "content", [b"PAR1" + b"\0" * 100 + b"PAR1", b"x", b"PAR1\xff\xff\xff\x7fPAR1"]
)
def test_a_shard_that_is_no_parquet(pairs, content) -> None:
    (pairs / REAL).write_bytes(content)
    reseal(pairs, REAL)
    (fault,) = found(pairs)
    assert fault.startswith(f"{REAL}: ") and "\n" not in fault


def test_a_damaged_page_under_a_hash_that_fits(pairs) -> None:
    forge(pairs, REAL, lambda rows: None, write_page_checksum=True)
    content = bytearray((pairs / REAL).read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    (pairs / REAL).write_bytes(content)
    reseal(pairs, REAL)
    (fault,) = found(pairs)
    assert fault.startswith(f"{REAL}: ") and "CRC" in fault


def test_a_shard_that_could_unpack_to_any_size(pairs) -> None:
    forge(pairs, REAL, lambda rows: None, use_dictionary=True)
    assert f"{REAL}: keeps id as a dictionary; only source is one" in found(pairs)
    forge(pairs, REAL, lambda rows: None, compression="zstd")
    assert f"{REAL}: packs image.bytes; pictures are stored as they are" in found(pairs)


def test_other_columns_and_other_metadata(pairs) -> None:
    table = pq.read_table(pairs / REAL)
    for spoilt, message in (
        (table.drop_columns(["seed"]), "other columns"),
        (table.replace_schema_metadata({}), "scene_palette metadata"),
        (
            table.replace_schema_metadata(table.schema.metadata | {b"huggingface": b"{}"}),
            "huggingface metadata",
        ),
    ):
        pq.write_table(spoilt, pairs / REAL, use_dictionary=["source"])
        reseal(pairs, REAL)
        (fault,) = found(pairs)
        assert fault.startswith(f"{REAL}: ") and message in fault
