"""Progress of long work: a bar on a terminal, plain lines everywhere else."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("scene_palette")

SECONDS_BETWEEN_LINES = 10.0

Advance = Callable[..., None]


@contextmanager
def progress(total: int, label: str, unit: str, start: int = 0) -> Iterator[Advance]:
    """Show progress of `total` units; yields `advance(n=1, note="")`.

    `start` is what an earlier, interrupted run has done already; it does not count for the rate.
    """
    if sys.stderr.isatty():
        with _bar(total, label, unit, start) as advance:
            yield advance
    else:
        yield _lines(total, label, unit, start)


def _lines(total: int, label: str, unit: str, start: int) -> Advance:
    began = last = time.monotonic()
    done = start

    def advance(n: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and done < total:
            return
        last = now
        rate = (done - start) / max(now - began, 1e-9)
        left = (total - done) / rate if rate > 0 else 0.0
        tail = f"  {note}" if note else ""
        log.info(f"{label}: {done}/{total} {unit}, {rate:.1f}/s, {left:.0f} s left{tail}")

    return advance


@contextmanager
def _bar(total: int, label: str, unit: str, start: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=start, rate="", note="")
        began, done = time.monotonic(), start

        def advance(n: int = 1, note: str = "") -> None:
            nonlocal done
            done += n
            rate = (done - start) / max(time.monotonic() - began, 1e-9)
            bar.update(task, completed=done, rate=f"{rate:.1f}/s", note=note)

        yield advance
