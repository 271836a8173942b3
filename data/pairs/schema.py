"""The Parquet schema of a pair set: columns, types, and what the file says of itself."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from data.pairs.classes import ClassTable
from data.pairs.pair import Pair, content_hash, encode_png, palette_of

SCHEMA_VERSION = 1

ENCODED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

# PNG bytes do not compress (0.2 % measured), so only the plain columns are compressed.
COMPRESSION = {
    "id": "zstd",
    "image.bytes": "none",
    "image.path": "zstd",
    "label.bytes": "none",
    "label.path": "zstd",
    "palette.list.element": "zstd",
    "target.list.element": "zstd",
    "source": "zstd",
    "parent": "zstd",
    "edited.bytes": "none",
    "edited.path": "zstd",
    "seed": "zstd",
    "sha256": "zstd",
}


def schema(classes: ClassTable, size: tuple[int, int]) -> pa.Schema:
    """Return the schema of a pair set of the given classes and size (height, width).

    The `huggingface` entry lets `datasets.load_dataset("parquet", ...)` decode images and labels
    with no code of this project; it compares fields whole, so none may be declared non-nullable.
    """
    fields = [
        pa.field("id", pa.string()),
        pa.field("image", ENCODED),
        pa.field("label", ENCODED),
        pa.field("palette", pa.list_(pa.float32())),
        pa.field("target", pa.list_(pa.float32())),
        pa.field("source", pa.dictionary(pa.int8(), pa.string())),
        pa.field("parent", pa.string()),
        pa.field("edited", ENCODED),
        pa.field("seed", pa.int64()),
        pa.field("sha256", pa.string()),
    ]
    metadata = {
        "scene_palette": json.dumps(
            {"version": SCHEMA_VERSION, "classes": classes.to_json(), "size": list(size)}
        ),
        "huggingface": json.dumps({"info": {"features": _features()}}),
    }
    return pa.schema(fields, metadata=metadata)


def to_row(pair: Pair, num_classes: int) -> dict[str, Any]:
    """Encode a pair as a row of the schema; palette and hash are computed here, nowhere else."""
    image, label = encode_png(pair.image), encode_png(pair.label)
    return {
        "id": pair.id,
        "image": {"bytes": image, "path": f"{pair.id}.png"},
        "label": {"bytes": label, "path": f"{pair.id}_label.png"},
        "palette": palette_of(pair.label, num_classes),
        "target": None if pair.target is None else np.asarray(pair.target, np.float32),
        "source": pair.source,
        "parent": pair.parent,
        "edited": None
        if pair.edited is None
        else {"bytes": encode_png(pair.edited), "path": f"{pair.id}_edited.png"},
        "seed": pair.seed,
        "sha256": content_hash(image, label),
    }


def _features() -> dict[str, Any]:
    def value(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "_type": "Value"}

    def shares() -> dict[str, Any]:
        return {"feature": value("float32"), "_type": "List"}

    return {
        "id": value("string"),
        "image": {"_type": "Image"},
        "label": {"_type": "Image"},
        "palette": shares(),
        "target": shares(),
        "source": value("string"),
        "parent": value("string"),
        "edited": {"_type": "Image"},
        "seed": value("int64"),
        "sha256": value("string"),
    }
