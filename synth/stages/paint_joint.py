"""STAGE: paint real layouts with a painter as it was before a joint, and as it is after."""

from pathlib import Path

from data.pairs.shards import PairSet, ShardWriter
from data.stage.cli import run
from data.stage.compute import begin
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing
from data.stage.params import check_name, read
from data.stage.timings import timed
from synth.making.parts import ProduceParams
from synth.making.repaint import repaint

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
            repaint(writer, real, painter, source, numbers, rows=range(len(real)))
        timing.images = 2 * len(real)


if __name__ == "__main__":
    run(main)
