"""The Parquet schema of a pair set: columns, types, and what the file says of itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from data.pairs.classes import ClassTable
from data.pairs.pair import Pair, content_hash, encode_png, palette_of

SCHEMA_VERSION = 2

ENCODED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SHARES = pa.list_(pa.float32())


@dataclass(frozen=True)
class Column:
    """A column: its Arrow type, its feature of Hugging Face, and what may be asked of it.

    A `picture` is stored as an encoded file, all others plainly. A `required` one is never null. A
    `computed` one follows from the pictures; the others are fields of `Pair`.
    """

    name: str
    type: pa.DataType
    feature: dict[str, Any]
    picture: bool = False
    required: bool = False
    computed: bool = False

    @property
    def compression(self) -> dict[str, str]:
        """Return the compression of its leaves; PNG bytes do not compress (0.2 % measured)."""
        return {
            leaf: "none" if leaf.endswith(".bytes") else "zstd"
            for leaf in _leaves(self.name, self.type)
        }


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _list(dtype: str) -> dict[str, Any]:
    return {"feature": _value(dtype), "_type": "List"}


_IMAGE = {"_type": "Image"}
_TEXT = _value("string")

# The columns of every pair set, in order; all else that knows them is derived from this.
COLUMNS = (
    Column("id", pa.string(), _TEXT, required=True),
    Column("image", ENCODED, _IMAGE, picture=True, required=True),
    Column("label", ENCODED, _IMAGE, picture=True, required=True),
    Column("palette", SHARES, _list("float32"), required=True, computed=True),
    Column("target", SHARES, _list("float32")),
    Column("source", pa.dictionary(pa.int8(), pa.string()), _TEXT, required=True),
    Column("group", pa.string(), _TEXT),
    Column("parent", pa.string(), _TEXT),
    Column("style", pa.string(), _TEXT),
    Column("donors", pa.list_(pa.string()), _list("string")),
    Column("edited", ENCODED, _IMAGE, picture=True),
    Column("seed", pa.int64(), _value("int64")),
    Column("sha256", pa.string(), _TEXT, required=True, computed=True),
)
PICTURES = tuple(column.name for column in COLUMNS if column.picture)
PLAIN = tuple(c.name for c in COLUMNS if not (c.picture or c.computed))  # what a Pair has besides
REQUIRED = tuple(column.name for column in COLUMNS if column.required)
PALETTES = tuple(column.name for column in COLUMNS if column.type == SHARES)
DICTIONARIES = [column.name for column in COLUMNS if pa.types.is_dictionary(column.type)]
COMPRESSION = {leaf: kind for column in COLUMNS for leaf, kind in column.compression.items()}


def schema(classes: ClassTable, size: tuple[int, int]) -> pa.Schema:
    """Return the schema of a pair set of the given classes and size (height, width).

    The `huggingface` entry lets `datasets.load_dataset("parquet", ...)` decode images and labels
    with no code of this project; it compares fields whole, so none may be declared non-nullable.
    """
    features = {column.name: column.feature for column in COLUMNS}
    metadata = {
        "scene_palette": json.dumps(
            {"version": SCHEMA_VERSION, "classes": classes.to_json(), "size": list(size)}
        ),
        "huggingface": json.dumps({"info": {"features": features}}),
    }
    return pa.schema([pa.field(column.name, column.type) for column in COLUMNS], metadata=metadata)


def to_row(pair: Pair, num_classes: int) -> dict[str, Any]:
    """Encode a pair as a row of the schema; palette and hash are computed here, nowhere else."""
    row = {name: getattr(pair, name) for name in PLAIN}
    if pair.target is not None:
        row["target"] = np.asarray(pair.target, np.float32)
    for name in PICTURES:
        array, suffix = getattr(pair, name), "" if name == "image" else f"_{name}"
        row[name] = array if array is None else _encoded(array, f"{pair.id}{suffix}.png")
    hashed = content_hash(row["image"]["bytes"], row["label"]["bytes"])
    return row | {"palette": palette_of(pair.label, num_classes), "sha256": hashed}


def _encoded(array: np.ndarray, path: str) -> dict[str, Any]:
    return {"bytes": encode_png(array), "path": path}
