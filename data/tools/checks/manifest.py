"""The manifest of a pair set, read from bytes that may say anything."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from data.pairs.classes import ClassTable
from data.pairs.manifest import MANIFEST_BYTES, SHARD_NAME, Manifest
from data.pairs.schema import SCHEMA_VERSION
from data.stage.errors import UserError


def read(file: Path) -> tuple[Manifest | None, list[str]]:
    """Return what a manifest says, or None where it says nothing usable, and its faults."""
    if file.is_symlink():
        return None, ["is a symbolic link; a set holds its own files"]
    if file.stat().st_size > MANIFEST_BYTES:
        return None, [f"is larger than {MANIFEST_BYTES} bytes; no manifest is"]
    raw = file.read_bytes()
    try:
        manifest = Manifest.model_validate_json(raw, strict=True)
        class_table(manifest)
        intact = _is_intact(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        return None, [f"was altered or damaged ({one_line(where)}: {one_line(first['msg'])})"]
    except UserError as error:
        return None, [f"has no class table ({one_line(error)})"]
    except (ValueError, RecursionError) as error:
        return None, [f"was altered or damaged ({one_line(error)})"]
    found = [] if intact else ["was altered or damaged (its own hash does not fit its bytes)"]
    names = list(_name_faults(manifest))
    # Nothing is read in the name of a manifest that points out of its folder.
    return (None if names else manifest), [*found, *names, *_count_faults(manifest)]


def class_table(manifest: Manifest) -> ClassTable:
    """Return the class table of a manifest; raises `UserError` when it is none."""
    return ClassTable.from_json([entry.model_dump() for entry in manifest.classes])


def one_line(words: object) -> str:
    """Return a message that may quote a stranger's text as one printable line."""
    line = " ".join(str(words).split())[:300]
    return "".join(character if character.isprintable() else "?" for character in line)


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
    for name, count in Counter(entry.name for entry in manifest.shards).items():
        if not SHARD_NAME.fullmatch(name):
            yield f"points outside its folder: {name!r} is not the name of a shard in it"
        elif count > 1:
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
