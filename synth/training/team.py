"""Several processes that train one method together, each on its own rows of every batch.

`torchrun` starts them.
"""

import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from data.stage.errors import UserError
from data.stage.progress import log

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
                "a number (--nproc-per-node) that divides every batch size of the method"
            )
        return batch_size // self.count

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of any shapes, on one device, by their means over all processes, at once.

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


def run_in_team(main: Callable[..., None]) -> Callable[..., None]:
    """Let a stage run in the processes that `torchrun` has started; without it, in this one."""

    @functools.wraps(main)
    def command(**flags: Any) -> None:
        with _joined() if dist.is_torchelastic_launched() else nullcontext():
            main(**flags)

    return command


@contextmanager
def _joined() -> Iterator[None]:
    """Join the other processes, each on its own device; leave them when all went well."""
    backend, place = "gloo", int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        backend, devices = "nccl", torch.cuda.device_count()
        if place >= devices:
            raise UserError(
                f"{place + 1} processes or more, but {devices} devices; lower --nproc-per-node "
                "or make more devices visible (CUDA_VISIBLE_DEVICES)"
            )
        torch.cuda.set_device(place)
    dist.init_process_group(backend)
    if dist.get_rank():
        log.setLevel(logging.ERROR)  # the first process says it for all
    yield
    dist.destroy_process_group()
