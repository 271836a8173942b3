"""Make the parts in several processes of this machine, one for each GPU where there are GPUs."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait

import torch

from data.stage.cli import exit_on_sigterm
from data.stage.errors import UserError
from data.stage.progress import log
from synth.making.engines.worker import Step, make_parts
from synth.making.parts import Job, Part

# Workers that may die in a row, each without finishing a part, before it counts as no accident.
MOST_DEATHS = 3
# Seconds that a worker has to remove what is unfinished, before it is killed.
GRACE = 5.0


@dataclass(frozen=True)
class _Ask:
    """A worker asks for a part; it is answered with one, or with None when there is none left."""


@dataclass(frozen=True)
class _Failure:
    """What a worker raised; `ours` where it is a `UserError`."""

    text: str
    ours: bool


def make(job: Job, parts: Sequence[Part]) -> Generator[Step]:
    """Make parts; see `synth.making.engines`.

    A worker that dies is replaced and its parts are made again. Raises what a worker raises, and
    `UserError` when workers die one after the other.
    """
    number = min(job.numbers.workers or default_workers(job.compute.threads), len(parts))
    left, deaths = deque(parts), 0
    workers = [_Worker(job, slot) for slot in range(number)]
    try:
        while workers:
            ready = wait([worker.channel for worker in workers])
            for worker in [worker for worker in workers if worker.channel in ready]:
                step = worker.receive(left)
                if step is not None:
                    deaths = 0 if step.whole else deaths
                    yield step
                elif worker.has_ended:
                    workers.remove(worker)
                    if worker.end() == 0 and not worker.parts:
                        continue
                    deaths += 1
                    yield from worker.put_back(left)
                    _require_few(deaths, worker.exit_status)
                    workers.append(_Worker(job, worker.slot))
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()


def default_workers(threads: int) -> int:
    """Return one worker for each GPU, or as many as have `threads` cores each."""
    return torch.cuda.device_count() or max(1, len(os.sched_getaffinity(0)) // threads)


def _require_few(deaths: int, status: int) -> None:
    how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    log.info(f"a worker died ({how}); its parts are made again")
    if deaths >= MOST_DEATHS:
        raise UserError(
            f"{deaths} workers died in a row ({how}), nothing finished; if memory ran out, lower "
            "produce.workers or produce.batch_size; finished parts are kept"
        )


class _Worker:
    """A child process, the parts that it has been given and not finished, and what is written."""

    def __init__(self, job: Job, slot: int) -> None:
        # not forked: CUDA, and threads of PyTorch, do not survive it
        context = multiprocessing.get_context("spawn")
        self.slot, self.has_ended, self.exit_status = slot, False, 0
        self.parts: dict[str, Part] = {}
        self._written: dict[str, int] = {}
        self.channel, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(job, slot, theirs))
        self.process.start()
        theirs.close()  # so that the channel ends when the worker does

    def receive(self, left: deque[Part]) -> Step | None:
        """Take one message: a step is returned, a question answered from `left`."""
        try:
            message = self.channel.recv()
            if isinstance(message, _Ask):
                part = left.popleft() if left else None
                if part is not None:
                    self.parts[part.name], self._written[part.name] = part, 0
                self.channel.send(part)
                return None
        except (EOFError, OSError):
            self.has_ended = True
            return None
        if isinstance(message, _Failure):
            raise UserError(message.text) if message.ours else RuntimeError(message.text)
        self._written[message.part] += message.num_pairs
        if message.whole:
            del self.parts[message.part]
        return replace(message, worker=self.slot)

    def put_back(self, left: deque[Part]) -> Iterator[Step]:
        """Put unfinished parts back; yields steps that take back what was reported of them."""
        left.extendleft(self.parts.values())
        yield from (Step(name, -self._written[name]) for name in self.parts)

    def end(self) -> int:
        """Wait for the process, kill it when it takes too long; return its exit status."""
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.channel.close()
        self.exit_status = self.process.exitcode or 0
        return self.exit_status


# == in the child ==


def _work(job: Job, slot: int, channel: Connection) -> None:
    exit_on_sigterm()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        gpus = torch.cuda.device_count()
        if gpus:
            torch.cuda.set_device(slot % gpus)
        ready = job.load(torch.device(f"cuda:{slot % gpus}" if gpus else "cpu"))
        with closing(make_parts(job, ready, _asked(channel))) as steps:
            for step in steps:
                channel.send(step)
    except UserError as error:
        channel.send(_Failure(str(error), ours=True))
    except Exception:
        channel.send(_Failure(f"a worker failed:\n{traceback.format_exc()}", ours=False))


def _asked(channel: Connection) -> Iterator[Part]:
    while True:
        channel.send(_Ask())
        part = channel.recv()
        if part is None:
            return
        yield part


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
