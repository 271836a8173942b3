"""Write outputs so that nobody ever sees half of one."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.stage.errors import UserError

# Full disk, full quota, and a file larger than the shell's `ulimit -f` allows.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out`; rename it over `out` when the block succeeds.

    When the block fails, `out` is left as it was and the folder is removed. A kill at any moment
    leaves the old `out`, none, or the new one, each whole and on disk; what it leaves beside them
    is removed by the next start. A full disk is a `UserError`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, old = partial_of(out), out.parent / f".{out.name}.old"
    remove(partial)
    remove(old)
    partial.mkdir()
    try:
        with room_for(out):
            yield partial
            _sync(partial)
    except BaseException:
        remove(partial)
        raise
    if out.is_symlink() or out.exists():
        out.rename(old)  # removing takes a while, and a kill must not leave half of it
    partial.replace(out)
    _sync_one(out.parent)
    remove(old)


def name_once(folder: Path, name: Path) -> None:
    """Give a complete folder its name, unless another process has made the same one meanwhile.

    Then `folder` is removed. What is in it must be on disk already.
    """
    folder.chmod(0o755)  # temporary folders are made for their owner alone
    try:
        folder.rename(name)
    except OSError:
        if not name.is_dir():
            raise
        remove(folder)
    _sync_one(name.parent)


def require_ours(out: Path, mark: str) -> None:
    """Raise `UserError` unless a stage may replace `out`: what it holds would be lost.

    It may when `out` is absent, an empty folder, or a folder that an earlier run wrote: one with
    the file `mark` in it, or in each of its folders.
    """
    if not out.exists() and not out.is_symlink():
        above = next(parent for parent in out.absolute().parents if parent.exists())
        if not above.is_dir():
            raise UserError(f"{above} is a file, so {out} cannot be made; write somewhere else")
        return
    if out.is_symlink() or not out.is_dir():
        raise UserError(f"{out} is not a folder; remove it yourself or write somewhere else")
    inside = sorted(out.iterdir())
    foreign = [entry for entry in inside if not (entry / mark).is_file()]
    if foreign and not (out / mark).is_file():
        raise UserError(
            f"{out} holds {foreign[0].name!r}, which no run of this stage wrote and which would be "
            "lost; remove it yourself or write somewhere else"
        )


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def room_for(path: Path, size: int | None = None) -> Iterator[None]:
    """Turn a full disk into a `UserError` that names what was written, `size` bytes of it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        folder = next(parent for parent in path.absolute().parents if parent.is_dir())
        needed = "" if size is None else f"{_megabytes(size)} more are needed, "
        raise UserError(
            f"no room to write {path} ({os.strerror(error.errno)}): {needed}{folder} has "
            f"{_megabytes(shutil.disk_usage(folder).free)} free; make room and start again"
        ) from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file through a temporary name, flushed to disk before it is renamed."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{path.parent} is a file; write somewhere else") from None
    with room_for(path, len(content)), finishing(path) as partial:
        partial.write_bytes(content)


def partial_of(path: Path) -> Path:
    """Return the name that a file or folder has until it is complete."""
    return path.parent / f".{path.name}.partial"


@contextmanager
def finishing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` for a file to be written; flush and rename it.

    When the block fails, neither name is left.
    """
    partial = partial_of(path)
    try:
        yield partial
        _sync(partial)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
    _sync_one(path.parent)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 file through a temporary name."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal content is equal bytes.

    NaN is refused: it is not JSON. Use null.
    """
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _sync(path: Path) -> None:
    """Flush a file, or a folder with all that is below it."""
    if path.is_symlink():
        return
    if path.is_dir():
        for entry in path.iterdir():
            _sync(entry)
    _sync_one(path)


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MB"
