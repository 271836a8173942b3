"""Write pair sets: a folder of Parquet shards and a manifest that is written last.

`PairSet`, which reads them, is in `data.pairs.pairset`.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.pairs.classes import ClassTable
from data.pairs.manifest import MANIFEST, StartsFrom, sealed, shard_name
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from data.pairs.schema import COMPRESSION, DICTIONARIES, PICTURES, SCHEMA_VERSION, schema, to_row
from data.stage.errors import UserError
from data.stage.outputs import finishing, partial_of, room_for, write_json

__all__ = ["MANIFEST", "WHOLE", "Cut", "PairSet", "ShardWriter"]

EncodedPair = dict[str, Any]
"""A pair as a row of the schema, pictures encoded."""

ROWS_PER_GROUP = 64
MAX_SHARD_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Cut:
    """How pairs are cut into shards, which are counted from `first`.

    A shard ends after `rows` pairs, or when its images and labels reach `most_bytes`.
    """

    first: int = 0
    rows: int = 1024
    most_bytes: int = MAX_SHARD_BYTES


WHOLE = Cut()


class ShardWriter:
    """Write pairs into shards of one folder; a context manager.

    `size` is (height, width); `prefix` names the shards, `<prefix>-00000.parquet`. The folder must
    be empty or absent. Shards get their name when they are complete and on disk, and the manifest
    comes last, so a folder without one is unfinished. Equal pairs give equal bytes. Memory holds
    one row group, `ROWS_PER_GROUP` encoded pairs, and the ids. `origin` says of each source, in
    words, what made it, `starts_from` which real set has the parents of the pairs, None where this
    one has; the manifest keeps both. A full disk is a `UserError`.
    """

    def __init__(
        self,
        out: Path,
        *,
        classes: ClassTable,
        size: tuple[int, int],
        fingerprint: str,
        prefix: str = "real",
        cut: Cut = WHOLE,
        origin: Mapping[str, Mapping[str, str]] | None = None,
        starts_from: StartsFrom | None = None,
    ) -> None:
        """Refuse a folder that holds something."""
        if out.is_dir() and any(out.iterdir()):
            raise UserError(f"{out} is not empty; remove it or write somewhere else")
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._prefix, self._cut = out, prefix, cut
        self._classes, self._size, self._fingerprint = classes, size, fingerprint
        self._schema = schema(classes, size)
        self._rows: list[dict[str, Any]] = []  # of the row group in hand
        self._shard: _OpenShard | None = None
        self._shards: list[dict[str, Any]] = []
        self._sources: Counter[str] = Counter()
        self._origin = {source: dict(facts) for source, facts in (origin or {}).items()}
        self._starts_from = starts_from
        self._ids: set[str] = set()

    def __enter__(self) -> "ShardWriter":
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the set, unless the block failed: then the shard in hand is removed."""
        try:
            if kind is None:
                self._finish()
        finally:
            if self._shard is not None:
                self._shard.abandon()

    def _finish(self) -> None:
        self._end_shard()
        manifest = {
            "version": SCHEMA_VERSION,
            "classes": self._classes.to_json(),
            "size": list(self._size),
            "shards": self._shards,
            "num_pairs": len(self._ids),
            "sources": dict(sorted(self._sources.items())),
            "origin": self._origin,
            "starts_from": None if self._starts_from is None else self._starts_from.model_dump(),
            "fingerprint": self._fingerprint,
        }
        write_json(self._out / MANIFEST, sealed(manifest))

    def write(self, pair: Pair) -> None:
        """Add one pair; ids must be unique and sizes those of the set."""
        self.write_encoded(self.encode(pair))

    def encode(self, pair: Pair) -> EncodedPair:
        """Encode a pair for `write_encoded`; any thread may, it changes nothing here."""
        assert pair.image.shape == (*self._size, 3) and pair.label.shape == self._size
        return to_row(pair, self._classes.num_classes)

    def write_encoded(self, row: EncodedPair) -> None:
        """Add one pair that `encode` has encoded."""
        self._claim([row["id"]])
        self._rows.append(row)
        self._sources[row["source"]] += 1
        if self._shard is None:
            written = sum(entry["name"].startswith(f"{self._prefix}-") for entry in self._shards)
            path = self._out / shard_name(self._prefix, self._cut.first + written)
            self._shard = _OpenShard(path, self._schema)
        self._shard.rows += 1
        self._shard.encoded += _encoded_bytes(row)
        if self._shard.rows == self._cut.rows or self._shard.encoded >= self._cut.most_bytes:
            self._end_shard()
        elif len(self._rows) == ROWS_PER_GROUP:
            self._end_group(self._shard)

    def add_shards_of(self, other: PairSet, *, link: bool = False) -> None:
        """Take the shards of a finished set byte for byte, under their own names.

        With `link` they are hard links where the file system has them, for a set that is about to
        be removed; copies otherwise.
        """
        if other.classes != self._classes or other.size != self._size:
            raise UserError(f"{other.path} has other classes or another size than the set in hand")
        self._claim(other.ids())
        taken = {entry["name"] for entry in self._shards}
        for entry in other.manifest["shards"]:
            if entry["name"] in taken:
                raise UserError(
                    f"{other.path} has a shard {entry['name']} that another set has too"
                )
            source, path = other.path / entry["name"], self._out / entry["name"]
            with room_for(path, entry["bytes"]), finishing(path) as partial:
                _link_or_copy(source, partial) if link else shutil.copyfile(source, partial)
                if _sha256(partial) != entry["sha256"]:
                    raise UserError(f"{source} was altered or damaged; make {other.path} again")
            self._shards.append(dict(entry))
        self._sources.update(other.manifest["sources"])
        self._origin = other.origin | self._origin

    def _claim(self, ids: Sequence[str]) -> None:
        repeated = self._ids.intersection(ids)
        if repeated:
            raise UserError(f"pair id {min(repeated)!r} occurs twice; ids are unique in a set")
        self._ids.update(ids)

    def _end_group(self, shard: "_OpenShard") -> None:
        shard.write(self._rows)
        self._rows = []

    def _end_shard(self) -> None:
        if self._shard is None:
            return
        if self._rows:
            self._end_group(self._shard)
        self._shards.append(self._shard.finish())
        self._shard = None


SETTINGS: dict[str, Any] = {
    "compression": COMPRESSION,
    "use_dictionary": DICTIONARIES,
    "write_statistics": ["id", "source"],
    "write_page_index": True,
    "write_page_checksum": True,
}


class _OpenShard:
    """A shard under its temporary name; `rows` and `encoded` bytes that it has or is about to."""

    def __init__(self, path: Path, arrow_schema: pa.Schema) -> None:
        self._path, self._schema = path, arrow_schema
        self.rows = self.encoded = 0
        with room_for(path):
            self._file = partial_of(path).open("wb")
            self._writer = pq.ParquetWriter(self._file, arrow_schema, **SETTINGS)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write one row group."""
        with room_for(self._path, sum(map(_encoded_bytes, rows))):
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))

    def finish(self) -> dict[str, Any]:
        """Complete the shard under its name; return its entry of the manifest."""
        with room_for(self._path), finishing(self._path) as partial:
            self._writer.close()
            self._file.close()
            size, digest = partial.stat().st_size, _sha256(partial)
        return {"name": self._path.name, "rows": self.rows, "bytes": size, "sha256": digest}

    def abandon(self) -> None:
        """Remove what there is; closing may fail again on a full disk."""
        for part in (self._writer, self._file):
            with suppress(OSError):
                part.close()
        partial_of(self._path).unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def _encoded_bytes(row: Mapping[str, Any]) -> int:
    pictures = (row[name] for name in PICTURES)
    return sum(len(picture["bytes"]) for picture in pictures if picture is not None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
