"""What every worker does: paint, encode and write parts, the three at the same time."""

import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from data.pairs.shards import EncodedPair
from synth.making import drawing
from synth.making.painted import Painted
from synth.making.parts import Batch, Job, OpenPart, Part
from synth.making.sets import ReadySet

# Batches that are painted and not yet written; more would take memory and save nothing.
AHEAD = 3


@dataclass(frozen=True)
class Step:
    """What a worker reports: `num_pairs` more pairs of a part are written; `whole` ends it.

    `painting`, `encoding` and `writing` are the seconds that they took, added over threads.
    `worker` is which of several wrote them.
    """

    part: str
    num_pairs: int
    whole: bool = False
    painting: float = 0.0
    encoding: float = 0.0
    writing: float = 0.0
    worker: int = 0


def make_parts(job: Job, ready: ReadySet, parts: Iterable[Part]) -> Generator[Step]:
    """Make parts one after the other; yields a step for everything that was written.

    This thread paints, `encoders` threads make PNG of it, one writes; the next part is painted
    while the last one is being written. Memory holds `AHEAD` batches. When the consumer closes
    this, or anything fails, what is unfinished is removed.
    """
    backlog: deque[Future[Step]] = deque()
    unfinished: list[OpenPart] = []
    encoders = ThreadPoolExecutor(job.numbers.encoders, "encode")
    writer = ThreadPoolExecutor(1, "write")

    def finish(opened: OpenPart, part: Part) -> Step:
        began = time.perf_counter()
        opened.finish()
        unfinished.remove(opened)
        return Step(part.name, 0, whole=True, writing=time.perf_counter() - began)

    try:
        for part in parts:
            opened = OpenPart(job, part)
            unfinished.append(opened)
            for batch in part.batches:
                painted = drawing.paint(ready, batch.indices, job.numbers.seed, batch.again)
                rows = [encoders.submit(_encode, opened, painted, n) for n in range(batch.kept)]
                backlog.append(writer.submit(_write, opened, part, batch, painted, rows))
                yield from _written(backlog, AHEAD)
            backlog.append(writer.submit(finish, opened, part))
        yield from _written(backlog, 0)
    finally:
        for threads in (encoders, writer):
            threads.shutdown(cancel_futures=True)
        for opened in unfinished:
            opened.abandon()


def _written(backlog: deque[Future[Step]], most: int) -> Generator[Step]:
    """Yield what is written, and wait until no more than `most` batches are left."""
    while backlog and (len(backlog) > most or backlog[0].done()):
        yield backlog.popleft().result()


def _encode(opened: OpenPart, painted: Painted, slot: int) -> tuple[EncodedPair, float]:
    pair = painted.pair(slot)
    began = time.perf_counter()
    return opened.encode(pair), time.perf_counter() - began


def _write(
    opened: OpenPart,
    part: Part,
    batch: Batch,
    painted: Painted,
    rows: list[Future[tuple[EncodedPair, float]]],
) -> Step:
    encoding = writing = 0.0
    for future in rows:
        row, seconds = future.result()
        began = time.perf_counter()
        opened.write(row)
        encoding, writing = encoding + seconds, writing + time.perf_counter() - began
    return Step(part.name, batch.kept, False, painted.seconds(), encoding, writing)
