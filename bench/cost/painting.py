"""What an image costs that a trained generator makes, for `bench.painters`."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.cost.synth import Counter
from data.pairs.pairset import PairSet
from data.stage.compute import default_device
from synth.painters import PAINTERS
from synth.training import artifact
from synth.training.method import Given, PaintRequest, generator

WHILE = 0.5  # seconds of the processor


@torch.no_grad()
def cost_of(
    trained: Path, registry: Mapping[str, Any], real: PairSet, batch_size: int, dtype: torch.dtype
) -> dict[str, float]:
    """Measure what a trained entry of a registry needs for an image, of layouts of `real`.

    `parameters` of the networks that make it; `multiply_adds` of convolutions and matrix products;
    on a CPU also processor `seconds` as produced in `dtype`. Nothing is written.
    """
    name = artifact.checked(trained, real).method
    entry = registry[name]
    method, nets = artifact.load(trained, entry, Given(real.classes.num_classes, real.size))
    rows = range(min(batch_size, len(real)))
    paints = registry is PAINTERS
    asked = PaintRequest(torch.from_numpy(real.labels(rows)).long()) if paints else None

    def make(nets: nn.ModuleDict) -> None:
        method.sample(nets, asked, [generator(0, row) for row in rows])

    with Counter() as counter:
        make(nets)
    fast = entry.prepare(method, nets, dtype) if paints else nets
    used = [nets[name] for name in nets if name in fast]
    found = {
        "parameters": sum(parameter.numel() for net in used for parameter in net.parameters()),
        "multiply_adds": counter.multiply_adds / len(rows),
    }
    if default_device().type == "cpu":
        found["seconds"] = _seconds(lambda: make(fast)) / len(rows)
    return found


def _seconds(work: Callable[[], None]) -> float:
    """Return the processor time of some work, a mean over a while; the first time is another."""
    work()
    began, times = time.process_time(), 0
    while (spent := time.process_time() - began) < WHILE:
        work()
        times += 1
    return spent / times
