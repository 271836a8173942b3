"""Pair sets to export: two splits, or real and synthetic sets apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.pairs.classes import ClassTable
from data.pairs.manifest import StartsFrom
from tests.data.exports.helpers import CITYSCAPES, CLASSES, IDS, pair_of, write_set


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write `root/train`, with synthetic pairs, and `root/val`; return the root."""

    def write(classes: ClassTable = CLASSES, ids: list[str] = IDS) -> Path:
        pairs = [pair_of(key, name, "real", classes) for key, name in enumerate(ids)]
        for key in range(3):
            pairs.append(
                pair_of(50 + key, f"semi_da-{key:07d}", "semi_da", classes, parent=ids[key])
            )
        write_set(tmp_path / "sets/train", classes, pairs)
        others = [pair_of(90 + key, f"v{key}", "real", classes) for key in range(2)]
        write_set(tmp_path / "sets/val", classes, others)
        return tmp_path / "sets"

    return write


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A folder with `real/train`, `real/val`, and `semi` and `more`, which start from `train`."""
    named = [pair_of(key, f"r{key}", "real", CITYSCAPES, group="v") for key in range(8)]
    write_set(tmp_path / "real/train", CITYSCAPES, named)
    others = [pair_of(90 + key, f"v{key}", "real", CITYSCAPES) for key in range(2)]
    write_set(tmp_path / "real/val", CITYSCAPES, others)
    for start, name in ((50, "semi"), (70, "more")):
        made = []
        for key in range(3):
            facts = {"parent": f"r{key}", "donors": ("r1",)}
            made.append(pair_of(start + key, f"{name}-{key}", name, CITYSCAPES, **facts))
        starts_from = StartsFrom.of(tmp_path / "real/train")
        write_set(tmp_path / name, CITYSCAPES, made, prefix=name, starts_from=starts_from)
    return tmp_path
