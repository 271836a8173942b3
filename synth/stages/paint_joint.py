"""STAGE: paint real layouts with a painter as it was before a joint, and as it is after."""

from pathlib import Path

import torch

from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.cli import run
from data.stage.compute import begin, default_device
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing
from data.stage.params import check_name, read
from data.stage.progress import progress
from data.stage.timings import timed
from synth.making.drawing import PAINTER, paint_layouts
from synth.making.parts import ProduceParams
from synth.making.sets import load_painter
from synth.training import artifact
from synth.training.method import PaintRequest, generator

BEFORE, AFTER = "before", "after"


def main(*, name: str, pairs: Path, before: Path, after: Path, out: Path) -> None:
    """Paint the layouts of all pairs twice, with the painters `before` and `after` a joint.

    The set written has the sources `before` and `after`; image i is painted from the same noise in
    both, so that nothing but the painter differs.
    """
    numbers = read("produce", ProduceParams)
    compute = begin("generators", f"joint {name}")
    real = PairSet(pairs)
    made_of = fingerprint(
        numbers.made_of() | {"compute": compute.to_json()}, [pairs, before, after]
    )
    about = {"classes": real.classes, "size": real.size, "fingerprint": made_of}
    with (
        timed(f"paint_joint@{check_name(name)}") as timing,
        replacing(out) as partial,
        ShardWriter(partial, prefix="painted", **about) as writer,
    ):
        for source, painter in ((BEFORE, before), (AFTER, after)):
            _paint(writer, real, painter, source, numbers)
        timing.images = 2 * len(real)


@torch.no_grad()
def _paint(
    writer: ShardWriter, real: PairSet, painter: Path, source: str, numbers: ProduceParams
) -> None:
    device = default_device()
    method, nets = load_painter(painter, artifact.checked(painter, real).method, real, device)
    with progress(len(real), f"paint {source}", "images") as advance:
        for first in range(0, len(real), numbers.batch_size):
            rows = range(first, min(first + numbers.batch_size, len(real)))
            labels = real.labels(rows)
            layout = torch.from_numpy(labels).long().to(device)
            rngs = [generator(numbers.seed, PAINTER, row, device=device) for row in rows]
            pixels = paint_layouts(method, nets, PaintRequest(layout), rngs).cpu()
            for slot, row in enumerate(rows):
                image = pixels[slot].permute(1, 2, 0).numpy()
                writer.write(Pair(f"{source}-{row:07d}", image, labels[slot], source))
            advance(len(rows))


if __name__ == "__main__":
    run(main)
