"""Several processes that train one method together, each on its own rows of every batch.

`torchrun` starts them, or the stage itself, as many as `training.processes` says.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from data.stage.cli import exit_on_sigterm
from data.stage.errors import UserError
from data.stage.progress import log

SHELL_SIGNAL = 128

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """This process, number `rank` of the `count` that share every batch; 0 writes and reports."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """True in the one process that writes files and shows progress."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Return how many pairs of a batch one process has; `UserError` where a rest is left."""
        if batch_size % self.count:
            raise UserError(
                f"a batch of {batch_size} pairs cannot be shared by {self.count} processes; choose "
                "`training.processes` so that it divides every batch size of the method"
            )
        return batch_size // self.count

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one device by their means over all processes, in one exchange.

        Every process ends with the same bits; what is not finite in one is not finite in all.
        """
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        means = flat.split([tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def require_same(self, number: int, what: str, device: torch.device) -> None:
        """Raise `UserError` in all processes unless `number` is the same in all of them."""
        if self.count == 1:
            return
        found = torch.tensor([number, -number], device=device)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        most, least = found.tolist()
        if most + least:
            raise UserError(
                f"{what} differs between the processes ({-least} and {most}); they must see the "
                "same `.scratch`, or SCENE_PALETTE_SCRATCH must name a folder that all of them see"
            )


ALONE = Team()


def current() -> Team:
    """Return who this process is among those that train together."""
    if not dist.is_initialized():
        return ALONE
    return Team(dist.get_rank(), dist.get_world_size())


def only_first(context: AbstractContextManager[T]) -> AbstractContextManager[T | None]:
    """Enter a context in the first process alone; the others are given None."""
    return context if current().first else nullcontext()


def run_in(count: int, main: Callable[..., None], flags: Mapping[str, Any]) -> None:
    """Run `main(**flags)` in the processes that `torchrun` has started, else in `count` new ones.

    With `count` 1 that is this process. An error in one process ends all of them: a `UserError` is
    raised here, another status or a signal becomes this process's own. New processes talk over the
    loopback interface only.
    """
    if dist.is_torchelastic_launched():
        with _joined(local_rank=int(os.environ["LOCAL_RANK"])):
            main(**flags)
    elif count == 1:
        main(**flags)
    else:
        _start(count, main, flags)


def _start(count: int, main: Callable[..., None], flags: Mapping[str, Any]) -> None:
    for backend in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{backend}_SOCKET_IFNAME", "lo")
    # it logs every process that it terminates; that is expected here
    logging.getLogger(mp.spawn.__module__).setLevel(logging.ERROR)
    messages = mp.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        # Daemons end with this process; the kernel ends them when it is killed (SIGKILL).
        members = mp.start_processes(
            _member,
            (count, Path(folder, "store"), messages, main, flags),
            nprocs=count,
            join=False,
            daemon=True,
            start_method="spawn",
        )
        try:
            while not members.join():
                pass
        except mp.ProcessExitedException as error:
            if not messages.empty():
                raise UserError(messages.get()) from None
            status = error.exit_code
            raise SystemExit(status if status > 0 else SHELL_SIGNAL - status) from None


def _member(
    rank: int,
    count: int,
    meeting: Path,
    messages: Any,  # a queue of the `UserError`s
    main: Callable[..., None],
    flags: Mapping[str, Any],
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exit_on_sigterm()
    # How PyTorch has the kernel end it with its parent. A shell's background job would ignore it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        store = dist.FileStore(str(meeting), count)
        with _joined(local_rank=rank, store=store, rank=rank, world_size=count):
            main(**flags)
    except UserError as error:
        messages.put(str(error))
        raise SystemExit(2) from None


@contextmanager
def _joined(*, local_rank: int, **meeting: Any) -> Iterator[None]:
    """Join the other processes, on the device of this number; leave them when all went well."""
    backend = "gloo"
    if torch.cuda.is_available():
        backend, devices = "nccl", torch.cuda.device_count()
        if local_rank >= devices:
            raise UserError(
                f"{local_rank + 1} processes or more, but {devices} devices; lower "
                "`training.processes` or make more devices visible (CUDA_VISIBLE_DEVICES)"
            )
        torch.cuda.set_device(local_rank)
    dist.init_process_group(backend, **meeting)
    if dist.get_rank():
        log.setLevel(logging.ERROR)  # the first process says it for all
    yield
    dist.destroy_process_group()
