"""The manifest of a pair set, read from bytes that may say anything."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from data.classes import ClassTable
from data.errors import UserError
from data.params import Params
from data.schema import SCHEMA_VERSION

LARGEST = 2**26  # bytes; a set of ten thousand shards needs a thirtieth
SHARD_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\.parquet")

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Channel = Annotated[int, Field(ge=0, le=255)]


class ClassEntry(Params):
    """A class as the manifest writes it."""

    name: str
    color: tuple[Channel, Channel, Channel]
    eval: bool
    mirror: str | None = None


class ShardEntry(Params):
    """A shard as the manifest knows it: file name, number of pairs, length and hash."""

    name: str
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    sha256: Hash


class Manifest(Params):
    """All that a manifest says, with its types."""

    version: int
    classes: tuple[ClassEntry, ...]
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    shards: tuple[ShardEntry, ...]
    num_pairs: int
    sources: dict[str, int]
    origin: dict[str, dict[str, str]]
    fingerprint: str
    sha256: Hash

    @property
    def table(self) -> ClassTable:
        """The class table; raises `UserError` when it is none."""
        return ClassTable.from_json([entry.model_dump() for entry in self.classes])


def read(file: Path) -> tuple[Manifest | None, list[str]]:
    """Return what a manifest says, or None where it says nothing usable, and its faults."""
    if file.is_symlink():
        return None, ["is a symbolic link; a set holds its own files"]
    if file.stat().st_size > LARGEST:
        return None, [f"is larger than {LARGEST} bytes; no manifest is"]
    raw = file.read_bytes()
    try:
        manifest = Manifest.model_validate_json(raw, strict=True)
        _ = manifest.table
        intact = _is_intact(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return None, [f"was altered or damaged ({where + ': ' if where else ''}{first['msg']})"]
    except UserError as error:
        return None, [f"has no class table ({error})"]
    except (ValueError, RecursionError) as error:
        return None, [f"was altered or damaged ({error})"]
    found = [] if intact else ["was altered or damaged (its own hash does not fit its bytes)"]
    names = list(_name_faults(manifest))
    # Nothing is read in the name of a manifest that points out of its folder.
    return (None if names else manifest), [*found, *names, *_count_faults(manifest)]


def _is_intact(raw: bytes) -> bool:
    """Compare with the hash inside, which covers what the JSON says, and with its only spelling.

    Both are spelled out here instead of taken from the writer, whose mistakes they would share.
    """
    content = json.loads(raw)
    again = json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
    digest = content.pop("sha256")
    body = json.dumps(content, sort_keys=True).encode()
    return raw == again.encode() and digest == hashlib.sha256(body).hexdigest()


def _name_faults(manifest: Manifest) -> Iterator[str]:
    names = [entry.name for entry in manifest.shards]
    for name in dict.fromkeys(names):
        if not SHARD_NAME.fullmatch(name):
            yield f"points outside its folder: {name!r} is no name of a shard in it"
        elif names.count(name) > 1:
            yield f"names the shard {name!r} twice"


def _count_faults(manifest: Manifest) -> Iterator[str]:
    if manifest.version != SCHEMA_VERSION:
        yield f"has version {manifest.version}, this program reads {SCHEMA_VERSION}"
    rows = sum(entry.rows for entry in manifest.shards)
    for what, count in (("shards", rows), ("sources", sum(manifest.sources.values()))):
        if count != manifest.num_pairs:
            yield f"counts {count} pairs in its {what}, but num_pairs is {manifest.num_pairs}"
    for source in sorted(set(manifest.sources) - set(manifest.origin)):
        yield f"does not say what made the source {source!r}: it has no entry in origin"
