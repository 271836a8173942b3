"""A batch of pairs between the device that made it and the threads that encode it."""

from dataclasses import dataclass

import torch

from data.pairs.pair import Pair


@dataclass(frozen=True)
class Painted:
    """A batch of pairs as the device made it, on its way to the CPU.

    `pixels` uint8 `[B, 3, H, W]`, `label` uint8 `[B, H, W]`, `target` `[B, C]` or None, `edited`
    bool `[B, H, W]` or None, all on the CPU once `ready` has happened (None: they are there).
    `styles` are the real pairs whose looks were painted, `donors` those that objects come from.
    `spent` are seconds of the CPU.
    """

    ids: tuple[str, ...]
    source: str
    pixels: torch.Tensor
    label: torch.Tensor
    target: torch.Tensor | None
    edited: torch.Tensor | None
    parents: tuple[str | None, ...]
    styles: tuple[str | None, ...]
    donors: tuple[tuple[str, ...] | None, ...]
    seeds: tuple[int, ...]
    spent: float
    began: torch.cuda.Event | None
    ready: torch.cuda.Event | None

    def pair(self, slot: int) -> Pair:
        """Return one pair, when it has arrived; any thread may ask."""
        if self.ready is not None:
            self.ready.synchronize()
        return Pair(
            id=self.ids[slot],
            image=self.pixels[slot].permute(1, 2, 0).numpy(),
            label=self.label[slot].numpy(),
            source=self.source,
            target=None if self.target is None else self.target[slot].numpy(),
            parent=self.parents[slot],
            style=self.styles[slot],
            donors=self.donors[slot],
            edited=None if self.edited is None else self.edited[slot].numpy(),
            seed=self.seeds[slot],
        )

    def seconds(self) -> float:
        """Return how long the device took, when the batch has arrived."""
        if self.began is None or self.ready is None:
            return self.spent
        return self.began.elapsed_time(self.ready) / 1000


def moment(device: torch.device) -> torch.cuda.Event | None:
    """Mark this moment in the queue of a GPU; None on a CPU."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def to_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """Begin to copy a tensor of any shape to the CPU, from CUDA without waiting."""
    return tensor.to("cpu", non_blocking=True)
