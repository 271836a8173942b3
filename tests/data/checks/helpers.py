"""A small pair set with edited pairs, and what `verify` finds wrong with it."""

from pathlib import Path

import numpy as np

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import Cut, PairSet, ShardWriter
from data.tools import verify

SIZE = (16, 32)
CLASSES = ClassTable(
    (
        ClassInfo("road", (128, 64, 128)),
        ClassInfo("sky", (70, 130, 180)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
ORIGIN = {
    "real": {"dataset": "folder", "licence": "mine"},
    "partial": {"layouts": "partial_palette", "painter": "spade"},
}
REAL, PARTIAL = "real-00000.parquet", "partial-00000.parquet"


def write(out: Path) -> Path:
    """Write 6 real pairs in two shards, and 3 with a band that was made anew in a third."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (6, *SIZE), dtype=np.uint8)
    pictures = iter(rng.integers(0, 256, (9, *SIZE, 3), dtype=np.uint8))
    writer = {"classes": CLASSES, "size": SIZE, "fingerprint": "f", "cut": Cut(rows=4)}
    real = out.parent / "real"
    with ShardWriter(real, **writer, origin={"real": ORIGIN["real"]}) as shards:
        for index, label in enumerate(labels):
            shards.write(Pair(f"r{index}", next(pictures), label, "real"))
    with ShardWriter(out, **writer, prefix="partial", origin=ORIGIN) as shards:
        shards.add_shards_of(PairSet(real))
        for index in range(3):
            edited = np.zeros(SIZE, bool)
            edited[4:8] = True
            label = np.where(edited, np.uint8(1), labels[index])
            target = np.array([0.25, 0.5, 0.25], np.float32)
            pair = Pair(f"p{index}", next(pictures), label, "partial", target, f"r{index}", edited)
            shards.write(pair)
    return out


def found(path: Path) -> list[str]:
    return list(verify.faults(path))
