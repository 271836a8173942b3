"""The manifest of a pair set: which shards belong to it, and what the set says of itself."""

import hashlib
import json
import re
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from data.pairs.classes import ClassTable
from data.pairs.schema import SCHEMA_VERSION
from data.stage.errors import UserError
from data.stage.params import Params

MANIFEST = "manifest.json"
MANIFEST_BYTES = 64 * 2**20
"""Longest manifest that is read; one of a million shards has a quarter of it."""

VOID = "void"
"""What the origin of real pairs has where an export has written their void classes as 255."""

LARGEST_SIDE = 8192
SHARD_NAME = re.compile(r"\w[\w-]*-\d{5,}\.parquet", re.ASCII)

Channel = Annotated[int, Field(ge=0, le=255)]
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]


class ClassEntry(Params):
    """A class as a manifest writes it."""

    name: str
    color: tuple[Channel, Channel, Channel]
    eval: bool
    mirror: str | None = None


class ShardEntry(Params):
    """A shard as a manifest knows it: file name, number of pairs, length and hash."""

    name: str
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    sha256: str


class StartsFrom(Params):
    """The real set whose pairs the parents of a set are: where it was, and what it was.

    `path` is the folder as it was given, `manifest` the sha256 of its manifest file.
    """

    path: str
    manifest: str

    @classmethod
    def of(cls, real: Path) -> "StartsFrom":
        """Name a set that is there."""
        return cls(path=str(real), manifest=manifest_hash(real))


class Manifest(Params):
    """All that a manifest says, with its types."""

    version: int
    classes: tuple[ClassEntry, ...]
    size: tuple[Side, Side]
    shards: tuple[ShardEntry, ...]
    starts_from: StartsFrom | None
    num_pairs: int = Field(ge=0)
    sources: dict[str, int]
    origin: dict[str, dict[str, str]]
    fingerprint: str
    sha256: str


def shard_name(prefix: str, number: int) -> str:
    """Return the file name of shard `number` of a prefix, `<prefix>-00000.parquet`."""
    return f"{prefix}-{number:05d}.parquet"


def sealed(body: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with the hash of its own content."""
    return body | {"sha256": _own_hash(body)}


def manifest_hash(folder: Path) -> str:
    """Return the sha256 of the manifest file of a set, which is that of all its content."""
    with (folder / MANIFEST).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a pair set and check all that can be checked without a shard.

    Raises `UserError` when there is none (the writer did not finish), when it was altered or is of
    another version, when its numbers contradict each other, and when a shard is missing, cut short
    or not a file of this folder: nothing outside the folder is ever opened.
    """
    file = folder / MANIFEST
    if not is_file(file):
        raise UserError(
            f"{folder} has no {MANIFEST}: it is not a pair set, or what wrote it did not finish; "
            "run the stage that makes it again"
        )
    try:
        if file.stat().st_size > MANIFEST_BYTES:
            raise ValueError("it is too long")
        text = file.read_text(encoding="utf-8")
        manifest = json.loads(text)
        if manifest["sha256"] != _own_hash(manifest):
            raise ValueError("it is not what was written")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{file} was altered or damaged; make the set again") from None
    if manifest.get("version") != SCHEMA_VERSION:
        raise UserError(
            f"{file} has version {manifest.get('version')!r}, this program reads {SCHEMA_VERSION}; "
            "make the set again (real pairs: run ingest again)"
        )
    try:
        parsed = Manifest.model_validate_json(text, strict=True)
        ClassTable.from_json(manifest["classes"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{file} is not a manifest: {where}: {first['msg']}") from None
    except UserError as error:
        raise UserError(f"{file} is not a manifest: {error}") from None
    _check(folder, file, parsed)
    return manifest


def is_file(path: Path) -> bool:
    """Say whether the path is a regular file itself: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # too long a name, or one with a NUL
        return False


def _check(folder: Path, file: Path, manifest: Manifest) -> None:
    names = [entry.name for entry in manifest.shards]
    strange = [name for name in names if not SHARD_NAME.fullmatch(name)]
    if strange:
        raise UserError(
            f"{file} lists {strange[0][:80]!r}, which is not the name of a shard "
            f"({shard_name('<prefix>', 0)}); it was not written by this program, make the set again"
        )
    if len(set(names)) < len(names):
        raise UserError(f"{file} lists a shard twice; make the set again")
    counts = {sum(entry.rows for entry in manifest.shards), sum(manifest.sources.values())}
    if counts != {manifest.num_pairs}:
        raise UserError(f"{file} contradicts itself on the number of pairs; make the set again")
    for entry in manifest.shards:
        shard = folder / entry.name
        if shard.is_symlink():
            raise UserError(
                f"{shard} is a link; the shards of a set are files of its own folder: copy the set "
                "(DVC: `dvc config cache.type reflink,copy`, then `dvc checkout --relink`)"
            )
        if not is_file(shard) or shard.stat().st_size != entry.bytes:
            raise UserError(f"{shard} is missing or cut short; make the set again")


def _own_hash(manifest: dict[str, Any]) -> str:
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
