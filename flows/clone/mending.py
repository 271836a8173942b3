"""Put right what a kill left in a clone: DVC's files, and numbers changed for an experiment."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

PARAMS = Path("params.yaml")

_TMP = Path(".dvc", "tmp")
_LOCK_KEPT = _TMP / "dvc.lock.kept"
_PARAMS_KEPT = _TMP / "params.yaml.kept"
_PARAMS_WRITTEN = _TMP / "params.yaml.written"
_READERS = _TMP / "rwlock"

Log = logging.Logger | Any


def mend(root: Path, log: Log) -> None:
    """Put a clone right that no run holds.

    DVC writes dvc.lock in place, for a second or more: a kill meanwhile leaves half a file, which
    stops every DVC command. A whole one is kept here for that case; what DVC recorded since comes
    back from its run cache.
    """
    from dvc.lock import LockError
    from dvc.repo import Repo

    if (root / _PARAMS_KEPT).is_file():
        _put_back(root, log)
    with Repo(str(root)) as repo:
        try:
            with repo.lock:
                _mend_lock(repo, root / "dvc.lock", root / _LOCK_KEPT, log)
                if not _is_in_use(root / _READERS):
                    (root / _READERS).unlink(missing_ok=True)
        except LockError:
            log.info("DVC is at work here, so nothing is broken")


@contextmanager
def own_params(root: Path, log: Log) -> Iterator[None]:
    """Let a block write params.yaml with `write_params`; put the file back afterwards.

    After a kill, the next run puts it back, unless somebody has edited it meanwhile.
    """
    _replace(root / PARAMS, root / _PARAMS_KEPT)
    try:
        yield
    finally:
        _put_back(root, log)


def write_params(root: Path, text: str) -> None:
    """Write params.yaml inside `own_params`."""
    (root / _PARAMS_WRITTEN).write_text(_hash(text.encode()), encoding="utf-8")
    partial = root / f"{PARAMS}.tmp"
    partial.write_text(text, encoding="utf-8")
    partial.replace(root / PARAMS)


def _put_back(root: Path, log: Log) -> None:
    kept, written = root / _PARAMS_KEPT, root / _PARAMS_WRITTEN
    ours = written.read_text(encoding="utf-8") if written.is_file() else ""
    if ours == _hash((root / PARAMS).read_bytes()):
        _replace(kept, root / PARAMS)
    elif kept.read_bytes() != (root / PARAMS).read_bytes():
        log.warning(f"{PARAMS} was edited during an ablation and stays as it is now")
    kept.unlink()
    written.unlink(missing_ok=True)


def _mend_lock(repo: Any, lock: Path, kept: Path, log: Log) -> None:
    from dvc.dvcfile import Lockfile
    from dvc.exceptions import DvcException

    if not lock.is_file():
        return
    try:
        # Half a hash at its end is valid too, and would make DVC run that stage again.
        whole = bool(Lockfile(repo, str(lock)).load()) and lock.read_bytes().endswith(b"\n")
    except DvcException:
        whole = False
    if whole:
        _replace(lock, kept)
        return
    lock.unlink()
    if kept.is_file():
        _replace(kept, lock)
    log.warning("a kill had cut off dvc.lock; what it forgot comes from DVC's run cache")


def _is_in_use(readers: Path) -> bool:
    """Say whether a living DVC is in the table of who reads and writes which output.

    DVC itself looks whether the process number is alive, and numbers come again after a restart.
    """
    try:
        table = json.loads(readers.read_text(encoding="utf-8"))
        entries = list(table["write"].values())
        entries += [entry for several in table["read"].values() for entry in several]
        return any(_is_dvc(int(entry["pid"])) for entry in entries if entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _is_dvc(pid: int) -> bool:
    try:
        return any("dvc" in word for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def _replace(source: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.tmp")
    shutil.copyfile(source, partial)
    partial.replace(target)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
