"""Write and read pair sets: a folder of Parquet shards and a manifest that is written last."""

import hashlib
import json
import os
import shutil
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.classes import ClassTable
from data.errors import UserError
from data.outputs import read_json, write_json
from data.pairs import Pair, decode_image, decode_label
from data.schema import COMPRESSION, SCHEMA_VERSION, schema, to_row

MANIFEST = "manifest.json"
ROWS_PER_GROUP = 64
CACHED_GROUPS = 4


def _self_hash(manifest: dict[str, Any]) -> str:
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class ShardWriter:
    """Write pairs into shards of one folder; a context manager.

    `size` is (height, width); `prefix` names the shards, `<prefix>-00000.parquet`. The folder
    must be empty or absent. Shards get their name when they are complete and the manifest comes
    last, so a folder without one is unfinished. Equal pairs give equal bytes. `origin` says of
    each source, in words, what made it; the manifest keeps it.
    """

    def __init__(
        self,
        out: Path,
        *,
        classes: ClassTable,
        size: tuple[int, int],
        fingerprint: str,
        prefix: str = "real",
        rows_per_shard: int = 1024,
        origin: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Refuse a folder that holds something."""
        if out.is_dir() and any(out.iterdir()):
            raise UserError(f"{out} is not empty; remove it or write somewhere else")
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._prefix, self._rows_per_shard = out, prefix, rows_per_shard
        self._classes, self._size, self._fingerprint = classes, size, fingerprint
        self._schema = schema(classes, size)
        self._rows: list[dict[str, Any]] = []
        self._shards: list[dict[str, Any]] = []
        self._sources: Counter[str] = Counter()
        self._origin = {source: dict(facts) for source, facts in (origin or {}).items()}
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
        """Finish the set, unless the block failed."""
        if kind is None:
            self._flush()
            manifest = {
                "version": SCHEMA_VERSION,
                "classes": self._classes.to_json(),
                "size": list(self._size),
                "shards": self._shards,
                "num_pairs": len(self._ids),
                "sources": dict(sorted(self._sources.items())),
                "origin": self._origin,
                "fingerprint": self._fingerprint,
            }
            write_json(self._out / MANIFEST, manifest | {"sha256": _self_hash(manifest)})

    def write(self, pair: Pair) -> None:
        """Add one pair; ids must be unique and sizes those of the set."""
        self._claim([pair.id])
        assert pair.image.shape == (*self._size, 3) and pair.label.shape == self._size
        self._rows.append(to_row(pair, self._classes.num_classes))
        self._sources[pair.source] += 1
        if len(self._rows) == self._rows_per_shard:
            self._flush()

    def add_shards_of(self, other: "PairSet") -> None:
        """Copy the shards of a finished set byte for byte, under their own names."""
        if other.classes != self._classes or other.size != self._size:
            raise UserError(f"{other.path} has other classes or another size than the set in hand")
        self._claim(other.ids())
        for entry in other.manifest["shards"]:
            shutil.copyfile(other.path / entry["name"], self._out / entry["name"])
            self._shards.append(dict(entry))
        self._sources.update(other.manifest["sources"])
        self._origin = other.origin | self._origin

    def _claim(self, ids: Sequence[str]) -> None:
        repeated = self._ids.intersection(ids)
        if repeated:
            raise UserError(f"pair id {min(repeated)!r} occurs twice; ids are unique in a set")
        self._ids.update(ids)

    def _flush(self) -> None:
        if not self._rows:
            return
        number = sum(entry["name"].startswith(f"{self._prefix}-") for entry in self._shards)
        name = f"{self._prefix}-{number:05d}.parquet"
        partial = self._out / f".{name}.partial"
        with partial.open("wb") as file:
            pq.write_table(
                pa.Table.from_pylist(self._rows, schema=self._schema),
                file,
                row_group_size=ROWS_PER_GROUP,
                compression=COMPRESSION,
                use_dictionary=["source"],
                write_statistics=["id", "source"],
                write_page_index=True,
                write_page_checksum=True,
            )
            file.flush()
            os.fsync(file.fileno())
        content = partial.read_bytes()
        partial.replace(self._out / name)
        self._shards.append(
            {
                "name": name,
                "rows": len(self._rows),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
        self._rows = []


class PairSet:
    """A finished pair set, read lazily: `len(s)`, `s[row]`, `s.pairs()`, `s.column(name)`.

    Raises `UserError` for a folder without a manifest (the writer did not finish), for a manifest
    that was altered, and for shards that are missing or have another length than it says.
    """

    def __init__(self, path: Path) -> None:
        """Open a set; reads the manifest only."""
        self.path = path
        self.manifest = _read_manifest(path)
        self.classes = ClassTable.from_json(self.manifest["classes"])
        self.size: tuple[int, int] = tuple(self.manifest["size"])
        self.num_pairs: int = self.manifest["num_pairs"]
        self.origin: dict[str, dict[str, str]] = self.manifest["origin"]
        self.shards = [path / entry["name"] for entry in self.manifest["shards"]]
        for shard, entry in zip(self.shards, self.manifest["shards"], strict=True):
            if not shard.is_file() or shard.stat().st_size != entry["bytes"]:
                raise UserError(f"{shard} is missing or cut short; make the set again")
        self._groups: list[tuple[int, int]] = []  # (shard, row group) in order
        self._starts: list[int] = []  # first row of each group
        self._files: dict[int, pq.ParquetFile] = {}
        self._cache: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of pairs."""
        return self.num_pairs

    def __getitem__(self, row: int) -> Pair:
        """Return one decoded pair."""
        if not 0 <= row < self.num_pairs:
            raise IndexError(row)
        self._index()
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        return _to_pair(self._rows(group)[row - self._starts[group]])

    def pairs(self, rows: Sequence[int] | None = None) -> Iterator[Pair]:
        """Yield decoded pairs in the given order of rows (default: all)."""
        for row in range(self.num_pairs) if rows is None else rows:
            yield self[int(row)]

    def ids(self) -> list[str]:
        """Return all ids in order."""
        return self.column("id")

    def column(self, name: str) -> Any:
        """Return one plain column in row order, without reading any image.

        `palette` and `target` come as float32 `[N, C]`, a null target as a row of NaN; the
        others as lists.
        """
        table = pa.concat_tables(pq.read_table(s, columns=[name]) for s in self.shards)
        values = table.column(name).to_pylist()
        if name in ("palette", "target"):
            empty = np.full(self.classes.num_classes, np.nan)
            rows = [empty if value is None else value for value in values]
            return np.asarray(rows, np.float32).reshape(-1, self.classes.num_classes)
        return values

    def select(self, source: str) -> np.ndarray:
        """Return the row numbers of one source (`real` or a recipe), int64."""
        return np.flatnonzero(np.asarray(self.column("source")) == source)

    def _index(self) -> None:
        if self._groups:
            return
        start = 0
        for number in range(len(self.shards)):
            metadata = self._file(number).metadata
            for group in range(metadata.num_row_groups):
                self._groups.append((number, group))
                self._starts.append(start)
                start += metadata.row_group(group).num_rows
        if start != self.num_pairs:
            raise UserError(f"{self.path} holds {start} pairs, its manifest says {self.num_pairs}")

    def _rows(self, group: int) -> list[dict[str, Any]]:
        if group not in self._cache:
            shard, number = self._groups[group]
            try:
                table = self._file(shard).read_row_group(number, use_threads=False)
            except OSError as error:
                raise UserError(f"{self.shards[shard]} is damaged ({error})") from None
            self._cache[group] = table.to_pylist()
            if len(self._cache) > CACHED_GROUPS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(group)
        return self._cache[group]

    def _file(self, number: int) -> pq.ParquetFile:
        if number not in self._files:
            self._files[number] = pq.ParquetFile(
                self.shards[number], memory_map=True, page_checksum_verification=True
            )
        return self._files[number]


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(
            f"{path} has no {MANIFEST}: it is no pair set, or what wrote it did not finish; "
            "run the stage that makes it again"
        )
    try:
        manifest = read_json(file)
        intact = manifest["sha256"] == _self_hash(manifest)
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise UserError(f"{file} was altered or damaged; make the set again")
    if manifest["version"] != SCHEMA_VERSION:
        raise UserError(f"{file} has version {manifest['version']}, this is {SCHEMA_VERSION}")
    return manifest


def _to_pair(row: dict[str, Any]) -> Pair:
    edited = row["edited"]
    return Pair(
        id=row["id"],
        image=decode_image(row["image"]["bytes"]),
        label=decode_label(row["label"]["bytes"]),
        source=row["source"],
        target=None if row["target"] is None else np.asarray(row["target"], np.float32),
        parent=row["parent"],
        edited=None if edited is None else decode_label(edited["bytes"]) > 0,
        seed=row["seed"],
    )
