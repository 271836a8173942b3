"""Open what a row learns from, and refuse anything but that."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.pairs.pairset import PairSet
from data.pairs.spread import spread
from data.stage.errors import UserError
from segment.batches.masks import MASKS, Masks, read_masks
from segment.batches.pool import Part
from segment.rows import Row, hash_of, manifest_of, real_set


@dataclass(frozen=True)
class Sets:
    """What one segmenter sees: real and synthetic training pairs, and the splits it is scored on.

    `splits` has `val`, which is scored while it trains, and perhaps `test`.
    """

    real: Part
    synthetic: tuple[Part, ...]
    splits: Mapping[str, Part]

    def __post_init__(self) -> None:
        """Refuse sets of other classes or another size."""
        mine = self.real.pairs
        for part in (*self.synthetic, *self.splits.values()):
            if (part.pairs.classes, part.pairs.size) != (mine.classes, mine.size):
                raise UserError(
                    f"{part.pairs.path} has other classes or another size than {mine.path}; "
                    "make it again"
                )

    def paths(self) -> list[Path]:
        """Return the folders of all sets."""
        parts = (self.real, *self.synthetic, *self.splits.values())
        return [part.pairs.path for part in parts]


def open_sets(row: Row, *, pairs: Path, real: Path, trust: Path, seam: int) -> Sets:
    """Open the sets of a row in their folders; one that the row's file does not mean is refused."""
    train = real_set(real, row)
    require(train, row.real_pairs, row)
    splits = {"val": Part.whole(PairSet(real / "val"))}
    if (real / "test").is_dir():
        splits["test"] = Part.whole(PairSet(real / "test"))
    masks = {entry.set: _masks(trust / entry.set, entry.sha256, row) for entry in row.masks}
    synthetic = []
    for entry in row.sets:
        require(pairs / entry.name, entry.manifest, row)
        found = Part.whole(synthetic_set(pairs / entry.name))
        synthetic.append(Part(found.pairs, found.rows, masks.get(entry.name), seam))
    return Sets(chosen(PairSet(train), row), tuple(synthetic), splits)


def chosen(pairs: PairSet, row: Row) -> Part:
    """Return the real pairs that a row learns from: all, or as many as it says, spread evenly."""
    part = Part.whole(pairs)
    if not isinstance(row.pairs, int):
        return part
    return replace(part, rows=np.sort(spread(pairs.column("group"))[: row.pairs]))


def synthetic_set(path: Path) -> PairSet:
    """Open a set of synthetic pairs; one with real pairs would show them twice, and is refused."""
    pairs = PairSet(path)
    if "real" in pairs.manifest["sources"]:
        raise UserError(f"{path} holds real pairs; a set has synthetic ones alone: make it again")
    return pairs


def require(pairs: Path, manifest: str, row: Row) -> None:
    """Raise `UserError` unless a folder holds the very set that the file of a row names."""
    if manifest_of(pairs) != manifest:
        raise UserError(
            f"{pairs} is not the set that the file of row {row.row!r} names: one of them was made "
            "again; run the stage `rows`"
        )


def _masks(folder: Path, sha256: str, row: Row) -> Masks:
    if hash_of(folder / MASKS) != sha256:
        raise UserError(
            f"{folder} has not the masks that the file of row {row.row!r} names: one of them was "
            "made again; run the stage `rows`"
        )
    return read_masks(folder)
