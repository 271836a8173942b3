"""Draw images from noise alone, to compare them: nothing says what they show, so no one learns."""

from pathlib import Path

import numpy as np
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from data.pairs.shards import ShardWriter
from data.stage.compute import default_device
from data.stage.params import choose
from data.stage.progress import progress
from synth.making.drawing import UNLABELLED, as_pixels
from synth.making.parts import ProduceParams
from synth.training import artifact
from synth.training.method import Given, generator
from synth.unconditional import UNCONDITIONAL

CLASSES = ClassTable((ClassInfo("unlabelled", (0, 0, 0), eval=False),))
"""What a set of such images is of: it fits no real set, so that no row can read it."""


@torch.no_grad()
def draw(
    writer: ShardWriter,
    real: PairSet,
    trained: Path,
    source: str,
    numbers: ProduceParams,
    *,
    count: int,
) -> None:
    """Write `count` images of the unconditional generator of an artifact, all unlabelled.

    An image is a function of (generator, seed, index); `writer` has `CLASSES`.
    """
    device = default_device()
    name = artifact.checked(trained, real).method
    entry = choose(name, UNCONDITIONAL, "unconditional generator")
    method, nets = artifact.load(trained, entry, Given(real.classes.num_classes, real.size))
    nets.to(device)
    nothing = np.zeros(real.size, np.uint8)
    with progress(count, f"draw {source}", "images") as advance:
        for first in range(0, count, numbers.batch_size):
            indices = range(first, min(count, first + numbers.batch_size))
            rngs = [generator(numbers.seed, UNLABELLED, i, device=device) for i in indices]
            pixels = as_pixels(method.sample(nets, None, rngs)).cpu()
            for index, image in zip(indices, pixels.permute(0, 2, 3, 1).numpy(), strict=True):
                writer.write(Pair(f"{source}-{index:07d}", image, nothing, source))
            advance(len(indices))
