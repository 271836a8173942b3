"""Pair sets changed as a forger would change them: lengths and hashes fit."""

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data.pairs.pair import content_hash, encode_png
from data.pairs.schema import COMPRESSION
from data.pairs.shards import MANIFEST


def seal(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest as a forger would: with a hash that fits."""
    manifest = json.loads((path / MANIFEST).read_text())
    change(manifest)
    del manifest["sha256"]
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    content = json.dumps(manifest | {"sha256": digest}, indent=1, sort_keys=True) + "\n"
    (path / MANIFEST).write_text(content)


def reseal(path: Path, name: str) -> None:
    """Make the manifest fit a shard again."""
    content = (path / name).read_bytes()

    def change(manifest: dict[str, Any]) -> None:
        entry = next(entry for entry in manifest["shards"] if entry["name"] == name)
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    seal(path, change)


def forge(path: Path, name: str, change: Callable[[list[dict[str, Any]]], Any], **options) -> None:
    """Change the rows of a shard as a forger would: all lengths and file hashes fit."""
    table = pq.read_table(path / name)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(
        pa.Table.from_pylist(rows, schema=table.schema),
        path / name,
        **{"compression": COMPRESSION, "use_dictionary": ["source"], "write_statistics": ["id"]}
        | options,
    )
    reseal(path, name)


def set_value(row: int, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[row].update(values)


def repaint(row: int, change: Callable[[np.ndarray], Any], rehash: bool = True):
    """Change the label of a row; its sha256 follows, its palette does not."""

    def edit(rows: list[dict[str, Any]]) -> None:
        label = np.asarray(Image.open(io.BytesIO(rows[row]["label"]["bytes"]))).copy()
        change(label)
        rows[row]["label"]["bytes"] = encode_png(label)
        if rehash:
            content = (rows[row]["image"]["bytes"], rows[row]["label"]["bytes"])
            rows[row]["sha256"] = content_hash(*content)

    return edit


def encoded(array: np.ndarray, kind: str = "PNG") -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return {"bytes": buffer.getvalue(), "path": "x"}


def bomb() -> dict[str, Any]:
    """A PNG of a few bytes that says it is 50000 x 50000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 50000, 50000, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return {"bytes": b"\x89PNG\r\n\x1a\n" + content, "path": "x"}


def swap(rows: list[dict[str, Any]]) -> None:
    rows[0]["image"], rows[1]["image"] = rows[1]["image"], rows[0]["image"]
