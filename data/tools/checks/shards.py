"""The shards of a pair set: their files, their schemas, and what their pairs say of each other."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.pairs.manifest import VOID, Manifest, ShardEntry, is_file
from data.pairs.schema import DICTIONARIES, schema
from data.stage.errors import UserError
from data.stage.progress import Advance
from data.tools.checks.manifest import class_table, one_line
from data.tools.checks.pairs import edit_faults, row_faults
from data.tools.checks.parents import Parents

CHUNK = 2**20
CACHED_GROUPS = 64  # of pictures of parents
LARGEST_GROUP = 4096  # rows; the writer's groups have 64
LARGEST_PLAIN = 2**26  # bytes to which one compressed column of a group may unpack

# A well-meant file of damaged content: pyarrow raises these, json and UTF-8 the last.
_UNREADABLE = (UserError, pa.ArrowException, OSError, ValueError)


def file_faults(file: Path, entry: ShardEntry) -> Iterator[str]:
    """Yield how a file differs from what the manifest says of its bytes; nothing is parsed."""
    if file.is_symlink():
        yield "is a symbolic link; a set holds its own files"
    elif not is_file(file):
        yield "is missing"
    elif (length := file.stat().st_size) != entry.bytes:
        yield f"has {length} bytes, the manifest says {entry.bytes}"
    else:
        digest = hashlib.sha256()
        with file.open("rb") as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != entry.sha256:
            yield "was altered or damaged (its sha256 is not the manifest's)"


class Contents:
    """The pairs in those shards of a set whose bytes are the manifest's.

    Holds the id of every pair and pictures of a few row groups, whatever the number of shards.
    `parents` is the real set that it starts from, None where it holds its parents itself.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        whole: Sequence[ShardEntry],
        parents: Parents | None = None,
    ) -> None:
        self._path, self._manifest, self._whole = path, manifest, whole
        self._parents = parents
        self._schema = schema(class_table(manifest), manifest.size)
        self._places: dict[str, tuple[str, int, int]] = {}  # shard, row group, row in the group
        self._real: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._complete = len(whole) == len(manifest.shards)
        self._pictures = lru_cache(CACHED_GROUPS)(self._read_pictures)

    def faults(self, advance: Advance) -> Iterator[str]:
        """Yield faults as `SHARD: fact` and `SHARD: pair ID: fact`; advances by pairs."""
        readable = []
        for entry in self._whole:
            try:  # of every shard first: a parent may lie in any of them
                self._check_layout(entry)
                yield from self._learn_ids(entry.name)
                readable.append(entry.name)
            except _UNREADABLE as error:
                self._complete = False
                yield f"{entry.name}: {one_line(error)}"
        for name in readable:
            for row in self._rows(name):
                if isinstance(row, str):
                    yield row
                    continue
                for fault in self._row_faults(row):
                    yield f"{name}: pair {row['id']!r}: {fault}"
                advance()
        if self._complete and dict(self._counts) != self._manifest.sources:
            counted = dict(sorted(self._counts.items()))
            yield f"the shards hold {counted}, the manifest says {self._manifest.sources}"

    def _check_layout(self, entry: ShardEntry) -> None:
        """Raise `UserError` unless a shard says of itself what a writer of ours would."""
        file = self._open(entry.name)
        found = file.schema_arrow
        if not found.equals(self._schema, check_metadata=False):
            raise UserError("has other columns than a pair set")
        for key, expected in self._schema.metadata.items():
            said = (found.metadata or {}).get(key)
            if said is None or json.loads(said) != json.loads(expected):
                raise UserError(
                    f"its {key.decode()} metadata is not that of a set of these classes and size"
                )
        if file.metadata.num_rows != entry.rows:
            raise UserError(f"holds {file.metadata.num_rows} pairs, the manifest says {entry.rows}")
        for number in range(file.metadata.num_row_groups):
            _check_group(file.metadata.row_group(number))

    def _learn_ids(self, name: str) -> Iterator[str]:
        file = self._open(name)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["id", "source"], use_threads=False)
            for row, pair in enumerate(table.to_pylist()):
                if pair["id"] in self._places:
                    other = self._places[pair["id"]][0]
                    yield f"{name}: pair {pair['id']!r}: the id occurs twice, first in {other}"
                else:
                    self._places[pair["id"]] = (name, group, row)
                if pair["source"] == "real":
                    self._real.add(pair["id"])

    def _rows(self, name: str) -> Iterator[dict[str, Any] | str]:
        """Yield the rows of a shard, and a fault in place of a row group that is damaged."""
        file = self._open(name)
        for group in range(file.num_row_groups):
            try:
                yield from file.read_row_group(group, use_threads=False).to_pylist()
            except _UNREADABLE as error:
                self._complete = False
                yield f"{name}: {one_line(error)}"

    def _row_faults(self, row: dict[str, Any]) -> Iterator[str]:
        source, parent = row["source"], row["parent"]
        self._counts[source] += 1
        ignores = VOID in self._manifest.origin.get("real", {})
        yield from row_faults(
            row, len(self._manifest.classes), self._manifest.size, ignores=ignores
        )
        if source is not None and source not in self._manifest.sources:
            yield f"the manifest does not know its source {source!r}"
        for kind in ("parent", "style", "donors"):
            named = row[kind] if isinstance(row[kind], list) else [row[kind]]
            for pair in filter(None, named):
                yield from self._stranger(kind.removesuffix("s"), pair)
        label, image = self._of_parent(parent, "label"), None
        if self._manifest.origin.get(source or "", {}).get("keep") == "true":
            image = self._of_parent(parent, "image")
            if row["edited"] is None:
                yield "has no `edited`, though its set keeps real pixels"
        if row["edited"] is not None:
            yield from edit_faults(row, label, self._manifest.size, image)

    def _stranger(self, kind: str, pair: str) -> Iterator[str]:
        """Yield the fault of a pair that another one names and that is not a real one."""
        if self._manifest.starts_from is not None:
            if self._parents is not None and pair not in self._parents:
                yield f"its {kind} {pair!r} is not a real pair of {self._parents.path}"
        elif self._complete and pair not in self._real:
            what = "a synthetic pair" if pair in self._places else "not a pair of the set"
            yield f"its {kind} {pair!r} is {what}; it must be a real pair of the same set"

    def _of_parent(self, pair: str | None, picture: str) -> bytes | None:
        if self._parents is not None:
            if pair is None or pair not in self._parents:
                return None
            return self._parents.pictures(pair, (picture,))[0]
        if pair not in self._places:
            return None
        name, group, row = self._places[pair]
        return self._pictures(name, group, picture)[row]

    def _read_pictures(self, name: str, group: int, picture: str) -> list[bytes | None]:
        try:
            table = self._open(name).read_row_group(group, columns=[picture], use_threads=False)
        except _UNREADABLE:
            return [None] * LARGEST_GROUP  # said when the rows of that group are read
        return [None if it is None else it["bytes"] for it in table[picture].to_pylist()]

    def _open(self, name: str) -> pq.ParquetFile:
        return pq.ParquetFile(self._path / name, memory_map=True, page_checksum_verification=True)


def _check_group(group: Any) -> None:
    """Raise `UserError` for a row group that could unpack to more memory than the file has."""
    columns = [group.column(number) for number in range(group.num_columns)]
    packed = [column for column in columns if column.compression != "UNCOMPRESSED"]
    largest = max((column.total_uncompressed_size for column in packed), default=0)
    if group.num_rows > LARGEST_GROUP or largest > LARGEST_PLAIN:
        raise UserError("has a row group that is larger than any that is written here")
    for column in columns:
        if column.has_dictionary_page and column.path_in_schema not in DICTIONARIES:
            raise UserError(f"keeps {column.path_in_schema} as a dictionary; only source is one")
    for column in packed:
        if column.path_in_schema.endswith(".bytes"):
            raise UserError(f"packs {column.path_in_schema}; pictures are stored as they are")
