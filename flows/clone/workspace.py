"""The clone that a run works in: one run at a time, and put right what a kill left behind.

Knows nothing of Prefect: `make repro` starts `python -m flows.clone.workspace` too.
"""

import fcntl
import logging
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from flows.clone.mending import mend
from flows.clone.versions import settle

# Every process of a stage has this variable: the folder of the clone, a colon, the stage.
MARK = "SCENE_PALETTE_STAGE"
PATIENCE = 20.0  # seconds for a cancelled run to leave before a second one is refused
GRACE = 7.0  # seconds between SIGTERM and SIGKILL: nothing is alive 10 s after a cancellation

_HELD = Path(".dvc", "tmp", "flow.lock")

Log = logging.Logger | Any


class WorkspaceBusy(RuntimeError):
    """Another run works in this clone; the message says which process and what to do."""


@dataclass(frozen=True)
class Workspace:
    """A clone that this process holds.

    `shared` means that stages are taken from the clone's DVC remote where another machine has run
    them, and put there. `leaving` is set when no stage may start any more.
    """

    root: Path
    shared: bool = False
    leaving: threading.Event = field(default_factory=threading.Event)


@contextmanager
def occupied(
    root: Path, log: Log, patience: float = PATIENCE, *, shared: bool = False
) -> Iterator[Workspace]:
    """Hold a clone for one run, mended; when the run breaks off, end every stage it started.

    Raises `WorkspaceBusy` when another process still holds it after `patience` seconds.
    """
    if not (root / "dvc.yaml").is_file():
        raise ValueError(f"{root} has no dvc.yaml; name the root of a clone")
    outlive_readers()
    (root / _HELD).parent.mkdir(parents=True, exist_ok=True)
    # The kernel frees the lock with the process, however that ends. No child inherits it.
    with (root / _HELD).open("a+", encoding="utf-8") as file:
        _acquire(file, root, log, patience)
        workspace = Workspace(root, shared)
        try:
            # Nobody who holds the lock is alive, so these have lost their run.
            end_stages(root, log)
            settle(root, log)
            mend(root, log)
            yield workspace
        except BaseException:
            workspace.leaving.set()
            end_stages(root, log)
            raise
        finally:
            file.truncate(0)


def end_stages(root: Path, log: Log, stage: str | None = None) -> None:
    """End what is alive of one stage, or of all stages of a clone: SIGTERM, then SIGKILL."""
    processes = processes_of(root, stage)
    if not processes:
        return
    names = sorted({process.info["environ"][MARK].rpartition(":")[2] for process in processes})
    log.warning(f"ending {len(processes)} processes still alive of {', '.join(names)}")
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with _missing_ok():
                process.send_signal(sign)
        processes = _alive_after(processes, GRACE)


def processes_of(root: Path, stage: str | None = None) -> list[psutil.Process]:
    """Return what is alive of one stage, or of all stages of a clone, this process aside."""
    prefix = f"{root.resolve()}:{stage or ''}"
    return [
        process
        for process in psutil.process_iter(["environ"])
        if process.pid != os.getpid()
        and (mark := (process.info["environ"] or {}).get(MARK, "")).startswith(prefix)
        and (stage is None or mark == prefix)
    ]


def environment(root: Path, stage: str) -> dict[str, str]:
    """Return the variable that tells the processes of a stage from all others."""
    return {MARK: f"{root.resolve()}:{stage}"}


def _acquire(file: IO[str], root: Path, log: Log, patience: float) -> None:
    end = time.monotonic() + patience
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = f"process {file.read().strip() or 'unknown'}"
            if time.monotonic() > end:
                raise WorkspaceBusy(
                    f"{root} is in use by another run ({holder}); wait until that one has ended or "
                    "cancel it, or give this run a clone of its own"
                ) from None
            if not told:
                log.info(f"{root} is in use by {holder}; waiting up to {patience:.0f} s")
                told = True
            time.sleep(0.2)
        else:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            return


def _alive_after(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, and return those that have not."""
    # Not psutil's own waiting, which takes the exit status from whoever started the process.
    end = time.monotonic() + seconds
    while processes and time.monotonic() < end:
        time.sleep(0.05)
        processes = [process for process in processes if _is_alive(process)]
    return processes


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _missing_ok() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return


def main() -> None:
    """Put the clone in the current folder right, for a `dvc repro` without a flow."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with occupied(Path.cwd(), logging.getLogger("scene_palette"), patience=0.0):
        pass


def outlive_readers() -> None:
    """Send what this process prints nowhere from the moment that its reader is gone.

    A worker reads its runs through pipes. When it is killed, the next line that its run prints
    would end the run: rich, which Prefect prints with, leaves the process on a broken pipe.
    """
    for descriptor in (1, 2):  # output and errors
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            threading.Thread(target=_watch, args=(descriptor,), daemon=True).start()


def _watch(descriptor: int) -> None:
    watcher = select.poll()
    watcher.register(descriptor, 0)  # of errors alone, and a lost reader is one
    watcher.poll()
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)


if __name__ == "__main__":
    main()
