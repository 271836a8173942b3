"""Small pair sets to export, and how to read what was written."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.pairs.classes import IGNORE, ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import Cut, PairSet, ShardWriter
from data.sources import cityscapes

SIZE = (20, 32)
CLASSES = ClassTable(
    (
        ClassInfo("rest", (1, 2, 3)),
        ClassInfo("left eye", (70, 130, 180), mirror="right eye"),
        ClassInfo("right eye", (71, 130, 180), mirror="left eye"),
        ClassInfo("Stra\u00dfe", (0, 255, 0)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
CITYSCAPES = cityscapes.class_table(cityscapes.Config())
# Ids may hold anything: folders, ways out, names that are equal where case is ignored.
IDS = ["a/b", "../../x", "Street", "street", "\u00fcber \u8857", "con", ".hidden", "x" * 300, "a-b"]


def pair_of(key: int, name: str, source: str, classes: ClassTable, **extra: Any) -> Pair:
    rng = np.random.default_rng(key)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    blocks = rng.integers(0, classes.num_classes, (5, 8), np.uint8)
    return Pair(name, image, np.repeat(np.repeat(blocks, 4, 0), 4, 1), source, **extra)


def write_set(out: Path, classes: ClassTable, pairs: list[Pair], **options: Any) -> Path:
    origin = {
        source: {"dataset": "mine", "licence": "CC0"} if source == "real" else {"painter": "spade"}
        for source in {pair.source for pair in pairs}
    }
    options |= {"classes": classes, "size": SIZE, "fingerprint": "f", "cut": Cut(rows=6)}
    with ShardWriter(out, **options, origin=origin) as writer:
        for pair in pairs:
            writer.write(pair)
    return out


def ignoring(out: Path, classes: ClassTable) -> Path:
    """A set with a synthetic pair in which a filter has ignored some pixels."""
    pair = pair_of(1, "s", "semi", classes)
    pair.label[:4] = IGNORE
    return write_set(out, classes, [pair_of(0, "r", "real", classes), pair])


def table_of(out: Path) -> dict[str, dict[str, str]]:
    """Return the rows of pairs.csv by pair id."""
    with (out / "pairs.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def sets_of(root: Path) -> dict[str, PairSet]:
    return {split: PairSet(root / split) for split in ("train", "val")}


def by_content(pairs: PairSet) -> dict[bytes, bytes]:
    """Return labels by image."""
    return {pair.image.tobytes(): pair.label.tobytes() for pair in pairs.pairs()}
