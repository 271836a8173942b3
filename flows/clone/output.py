"""What a run prints, once nobody reads it any more."""

import os
import select
import stat
import threading
from pathlib import Path

STANDARD = (1, 2)  # output and errors


def outlive_readers() -> None:
    """Send what this process prints nowhere from the moment that its reader is gone.

    A worker reads its runs through pipes. When it is killed, the next line that its run prints
    would end the run: rich, which Prefect prints with, leaves the process on a broken pipe.
    """
    for descriptor in STANDARD:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            threading.Thread(target=_watch, args=(descriptor,), daemon=True).start()


def _watch(descriptor: int) -> None:
    watcher = select.poll()
    watcher.register(descriptor, 0)  # of errors alone, and a lost reader is one
    watcher.poll()
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
