"""Paint the layouts of real pairs with one painter, to score it: no set of pairs to learn from."""

from collections.abc import Sequence
from pathlib import Path

import torch

from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.compute import default_device
from data.stage.progress import progress
from synth.making.drawing import PAINTER, REPAINT_STRIDE, paint_layouts
from synth.making.painter import load_painter
from synth.making.parts import ProduceParams
from synth.training import artifact
from synth.training.method import PaintRequest, generator


@torch.no_grad()
def repaint(
    writer: ShardWriter,
    real: PairSet,
    painter: Path,
    source: str,
    numbers: ProduceParams,
    *,
    rows: Sequence[int],
    again: int = 0,
) -> None:
    """Write images of the layouts of some real pairs, painted by the painter of an artifact.

    An image is a function of (painter, seed, row, again): two painters paint a row from the same
    noise. `again` > 0 paints with other noise. A painter that takes styles paints in the look of a
    training image that its noise draws.
    """
    device = default_device()
    method, nets = load_painter(painter, artifact.checked(painter, real).method, real, device)
    stream, suffix = PAINTER + again * REPAINT_STRIDE, f"-{again}" if again else ""
    with progress(len(rows), f"paint {source}", "images") as advance:
        for first in range(0, len(rows), numbers.batch_size):
            batch = rows[first : first + numbers.batch_size]
            labels = real.labels(batch)
            layout = torch.from_numpy(labels).long().to(device)
            rngs = [generator(numbers.seed, stream, row, device=device) for row in batch]
            pixels = paint_layouts(method, nets, PaintRequest(layout), rngs).cpu()
            for slot, row in enumerate(batch):
                image = pixels[slot].permute(1, 2, 0).numpy()
                writer.write(Pair(f"{source}-{row:07d}{suffix}", image, labels[slot], source))
            advance(len(batch))
