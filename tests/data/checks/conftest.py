"""Pair sets to spoil."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from data.pairs.manifest import StartsFrom
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from tests.data.checks.helpers import CLASSES, ORIGIN, SIZE, write

KEEPS = {"partial": ORIGIN["partial"] | {"keep": "true"}}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that no test changes."""
    return write(tmp_path_factory.mktemp("sets") / "set")


@pytest.fixture
def pairs(pristine: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(pristine, tmp_path / "set"))


@pytest.fixture
def kept(pairs: Path, tmp_path: Path) -> Path:
    """`real` and, in the folder returned, 3 pairs that keep the pixels of theirs outside a band."""
    originals = [pair for pair in PairSet(pairs).pairs() if pair.source == "real"]
    writer = {"classes": CLASSES, "size": SIZE, "fingerprint": "f"}
    with ShardWriter(tmp_path / "real", **writer, origin={"real": ORIGIN["real"]}) as shards:
        for pair in originals:
            shards.write(pair)
    named = {"prefix": "partial", "starts_from": StartsFrom.of(tmp_path / "real")}
    with ShardWriter(tmp_path / "kept", **writer, **named, origin=KEEPS) as shards:
        for index, pair in enumerate(originals[:3]):
            edited = np.zeros(SIZE, bool)
            edited[4:8] = True
            image = np.where(edited[..., None], 255 - pair.image, pair.image)
            facts = {"parent": pair.id, "donors": ("r5",), "style": "r4", "edited": edited}
            shards.write(Pair(f"p{index}", image, pair.label, "partial", **facts))
    return tmp_path / "kept"
