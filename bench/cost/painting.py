"""What an image costs that a trained generator makes, for `bench.painters`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.cost.synth import Counter
from data.pairs.pairset import PairSet
from synth.painters import PAINTERS
from synth.training import artifact
from synth.training.method import Given, PaintRequest, generator


@torch.no_grad()
def cost_of(
    trained: Path, registry: Mapping[str, Any], real: PairSet, batch_size: int, dtype: torch.dtype
) -> dict[str, float]:
    """Measure what a trained entry of a registry needs for an image, of layouts of `real`.

    `parameters` of the networks that make it; `multiply_adds` of convolutions and matrix products;
    processor `seconds` as produced in `dtype`, the second of two batches. Nothing is written.
    """
    name = artifact.checked(trained, real).method
    entry = registry[name]
    method, nets = artifact.load(trained, entry, Given(real.classes.num_classes, real.size))
    rows = range(min(batch_size, len(real)))
    asked = PaintRequest(torch.from_numpy(real.labels(rows)).long())
    if registry is not PAINTERS:
        asked = None

    def make(nets: nn.ModuleDict) -> None:
        method.sample(nets, asked, [generator(0, row) for row in rows])

    with Counter() as counter:
        make(nets)
    fast = entry.prepare(method, nets, dtype) if registry is PAINTERS else nets
    make(fast)
    began = time.process_time()
    make(fast)
    seconds = time.process_time() - began
    return {
        "parameters": sum(parameter.numel() for parameter in nets.parameters()),
        "multiply_adds": counter.multiply_adds / len(rows),
        "seconds": seconds / len(rows),
    }
