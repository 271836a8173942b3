"""Read pair sets: any pair at the same cost, plain columns without any image."""

import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.pairs.classes import IGNORE, ClassTable
from data.pairs.manifest import read_manifest
from data.pairs.pair import Pair, decode_image, decode_label
from data.pairs.schema import PALETTES, PICTURES, PLAIN, REQUIRED, schema
from data.stage.errors import UserError

Rows = Sequence[int] | np.ndarray
CACHED_GROUPS = 4
CACHED_FOOTERS = 8

V = TypeVar("V")


class PairSet:
    """A finished pair set, read lazily: `len(s)`, `s[row]`, `s.pairs()`, `s.column(name)`.

    Raises `UserError` for a folder without a manifest (the writer did not finish), for a manifest
    that was altered, for shards that are missing or have another length than it says, and, when
    they are read, for shards and pairs that are damaged or do not fit the set's size and classes.

    The first time that a row group is touched, Parquet verifies its checksums and the places of
    its pictures in the file are noted, 48 bytes a pair; from then on any pair is read from there.
    No file stays open, so that any number of forked processes may read the same object, and
    beside these places memory does not grow with the number of shards.
    """

    def __init__(self, path: Path) -> None:
        """Open a set; reads the manifest only."""
        self.path = path
        self.manifest = read_manifest(path)
        self.classes = ClassTable.from_json(self.manifest["classes"])
        self.size: tuple[int, int] = tuple(self.manifest["size"])
        self.num_pairs: int = self.manifest["num_pairs"]
        self.origin: dict[str, dict[str, str]] = self.manifest["origin"]
        self.starts_from: dict[str, str] | None = self.manifest["starts_from"]
        self.shards = [path / entry["name"] for entry in self.manifest["shards"]]
        self._ends = np.cumsum([entry["rows"] for entry in self.manifest["shards"]], dtype=np.int64)
        self._schema = schema(self.classes, self.size)
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()
        self._plain: OrderedDict[tuple[int, int], list[dict[str, Any]]] = OrderedDict()
        self._group_ends: dict[int, np.ndarray] = {}
        self._places: dict[tuple[int, int], np.ndarray] = {}

    def __len__(self) -> int:
        """Return the number of pairs."""
        return self.num_pairs

    def __getitem__(self, row: int) -> Pair:
        """Return one decoded pair."""
        image, label = self.arrays(row)
        shard, group, index = self._locate(row)
        plain = dict(self._plain_rows(shard, group)[index])
        if plain["target"] is not None:
            plain["target"] = np.asarray(plain["target"], np.float32)
        if plain["donors"] is not None:
            plain["donors"] = tuple(plain["donors"])
        (edited,) = self.encoded(row, ("edited",))
        if edited is not None:
            edited = self._decoded(row, "edited", decode_label, edited) > 0
        return Pair(image=image, label=label, edited=edited, **plain)

    def pairs(self, rows: Rows | None = None) -> Iterator[Pair]:
        """Yield decoded pairs in the given order of rows (default: all)."""
        for row in range(self.num_pairs) if rows is None else rows:
            yield self[int(row)]

    def arrays(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image uint8 `[H, W, 3]` and label uint8 `[H, W]` of one pair, nothing else.

        A picture that is damaged or has another size, and a label with ids that are not classes, is
        a `UserError` that names shard and pair.
        """
        image, label = self.encoded(row, ("image", "label"))
        return self._decoded(row, "image", decode_image, image), self._label(row, label)

    def images(self, rows: Rows) -> np.ndarray:
        """Return the images of the given rows, uint8 `[N, H, W, 3]`; no label is read."""
        found = np.empty((len(rows), *self.size, 3), np.uint8)
        for slot, row in enumerate(map(int, rows)):
            (content,) = self.encoded(row, ("image",))
            found[slot] = self._decoded(row, "image", decode_image, content)
        return found

    def labels(self, rows: Rows) -> np.ndarray:
        """Return the labels of the given rows, uint8 `[N, H, W]`; no image is read or decoded."""
        found = np.empty((len(rows), *self.size), np.uint8)
        for slot, row in enumerate(map(int, rows)):
            found[slot] = self._label(row, *self.encoded(row, ("label",)))
        return found

    def encoded(self, row: int, names: Sequence[str] = PICTURES) -> list[bytes | None]:
        """Return the stored bytes of the named pictures of one pair, None for one that is null."""
        shard, group, index = self._locate(row)
        if (shard, group) not in self._places:
            with self._reading(shard) as file:
                self._places[shard, group] = _places(file, self.shards[shard], group)
        places = self._places[shard, group][index]
        found: list[bytes | None] = []
        with self._damage(shard), self.shards[shard].open("rb", buffering=0) as file:
            for start, length in (places[PICTURES.index(name)].tolist() for name in names):
                content = None
                if start >= 0:
                    file.seek(start)
                    content = file.read(length)
                    if len(content) < length:
                        raise EOFError("it became shorter")
                found.append(content)
        return found

    def ids(self) -> list[str]:
        """Return all ids in order; one that occurs twice is a `UserError`."""
        ids = self.column("id")
        if len(set(ids)) < len(ids):
            seen: set[str] = set()
            repeated = next(entry for entry in ids if entry in seen or seen.add(entry))
            raise UserError(f"{self.path}: pair id {repeated!r} occurs twice; make the set again")
        return ids

    def column(self, name: str) -> Any:
        """Return one plain column in row order, without reading any image.

        `palette` and `target` come as float32 `[N, C]`, a null target as a row of NaN; the
        others as lists.
        """
        shares = name in PALETTES
        parts = [self._shard_column(shard, name, shares) for shard in range(len(self.shards))]
        if shares:
            return np.concatenate([np.empty((0, self.classes.num_classes), np.float32), *parts])
        return [value for part in parts for value in part]

    def select(self, source: str) -> np.ndarray:
        """Return the row numbers of one source (`real` or the name of a set), int64."""
        return np.flatnonzero(np.asarray(self.column("source")) == source)

    # == one shard ==

    def _locate(self, row: int) -> tuple[int, int, int]:
        """Return shard, row group and index within the group."""
        if not 0 <= row < self.num_pairs:
            raise IndexError(row)
        shard = int(np.searchsorted(self._ends, row, side="right"))
        index = row - (int(self._ends[shard - 1]) if shard else 0)
        if shard not in self._group_ends:
            footer = self._footer(shard)
            counts = [footer.row_group(g).num_rows for g in range(footer.num_row_groups)]
            self._group_ends[shard] = np.cumsum(counts)
        ends = self._group_ends[shard]
        group = int(np.searchsorted(ends, index, side="right"))
        return shard, group, index - (int(ends[group - 1]) if group else 0)

    def _plain_rows(self, shard: int, group: int) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            with self._reading(shard) as file:
                return file.read_row_group(group, columns=PLAIN, use_threads=False).to_pylist()

        return _cached(self._plain, (shard, group), CACHED_GROUPS, read)

    def _shard_column(self, shard: int, name: str, shares: bool) -> Any:
        with self._reading(shard) as file:
            values = file.read(columns=[name], use_threads=False).column(name)
            if name in REQUIRED and values.null_count:
                raise ValueError(f"the column {name} has nulls")
            return _shares(values, self.classes.num_classes) if shares else values.to_pylist()

    def _footer(self, shard: int) -> pq.FileMetaData:
        """Return the footer of a shard that has the schema of the set and its number of rows."""

        def read() -> pq.FileMetaData:
            with self._damage(shard), pq.ParquetFile(self.shards[shard]) as file:
                # `schema_arrow` drops what the file says of itself when types differ from it
                found, about = file.schema_arrow, b"scene_palette"
                metadata = found.metadata or {}
                if not found.equals(self._schema):
                    raise ValueError("its columns are not those of a pair set")
                if metadata.get(about) != self._schema.metadata[about]:
                    raise ValueError("it has other classes or another size than its manifest says")
                if file.metadata.num_rows != self.manifest["shards"][shard]["rows"]:
                    raise ValueError(f"it has {file.metadata.num_rows} rows")
                return file.metadata

        return _cached(self._footers, shard, CACHED_FOOTERS, read)

    @contextmanager
    def _reading(self, shard: int) -> Iterator[pq.ParquetFile]:
        footer = self._footer(shard)
        with (
            self._damage(shard),
            pq.ParquetFile(
                self.shards[shard], metadata=footer, page_checksum_verification=True
            ) as file,
        ):
            yield file

    @contextmanager
    def _damage(self, shard: int) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except (pa.ArrowException, OSError, ValueError, EOFError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self.shards[shard]} is damaged ({reason}); make the set again"
            ) from None

    # == one picture ==

    def _label(self, row: int, content: bytes | None) -> np.ndarray:
        label = self._decoded(row, "label", decode_label, content)
        num_classes = self.classes.num_classes
        if label.max() >= num_classes and (label[label != IGNORE] >= num_classes).any():
            raise self._wrong(row, f"label has ids that are none of the {num_classes} classes")
        return label

    def _decoded(
        self,
        row: int,
        name: str,
        decode: Callable[[bytes, tuple[int, int]], np.ndarray],
        content: bytes | None,
    ) -> np.ndarray:
        try:
            if content is None:
                raise UserError("is missing")
            return decode(content, self.size)
        except UserError as error:
            raise self._wrong(row, f"{name} {error}") from None

    def _wrong(self, row: int, fact: str) -> UserError:
        shard, group, index = self._locate(row)
        name = self._plain_rows(shard, group)[index]["id"]
        return UserError(f"{self.shards[shard]}: pair {name!r}: {fact}; make the set again")


def _places(file: pq.ParquetFile, path: Path, group: int) -> np.ndarray:
    """Find the pictures of a row group in its file: start and length, int64
    `[rows, pictures, 2]`.

    Parquet does not say where a value is, but pictures are stored as they are, each after its
    length, in the order of the rows. What is found is compared with what Parquet reads. A null has
    start -1.
    """
    metadata = file.metadata.row_group(group)
    leaves = [metadata.column(number).path_in_schema for number in range(metadata.num_columns)]
    places = np.full((metadata.num_rows, len(PICTURES), 2), -1, np.int64)
    for column, name in enumerate(PICTURES):
        leaf = f"{name}.bytes"
        about = metadata.column(leaves.index(leaf))
        table = file.read_row_group(group, columns=[leaf], use_threads=False)
        start = about.data_page_offset
        with path.open("rb") as raw:
            raw.seek(start)
            stored = raw.read(about.total_compressed_size)
        position = 0
        values = (v for chunk in table.column(name).chunks for v in chunk.flatten()[0])
        for row, value in enumerate(values):
            if not value.is_valid:
                continue
            content = value.as_py()
            begin = struct.pack("<I", len(content)) + content[:64]
            position = stored.find(begin, position)
            while position >= 0 and not stored.startswith(content, position + 4):
                position = stored.find(begin, position + 1)
            if position < 0:
                raise ValueError(f"the column {leaf} is compressed or was written by others")
            places[row, column] = start + position + 4, len(content)
            position += 4 + len(content)
    return places


def _shares(values: pa.ChunkedArray, num_classes: int) -> np.ndarray:
    shares = np.full((len(values), num_classes), np.nan, np.float32)
    present = values.is_valid().to_numpy()
    flat = values.combine_chunks().flatten()
    if len(flat) != present.sum() * num_classes or flat.null_count:
        raise ValueError(f"palettes do not have {num_classes} shares")
    shares[present] = flat.to_numpy().reshape(-1, num_classes)
    return shares


def _cached(cache: OrderedDict[Any, V], key: Any, most: int, make: Callable[[], V]) -> V:
    if key not in cache:
        cache[key] = make()
        if len(cache) > most:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]
