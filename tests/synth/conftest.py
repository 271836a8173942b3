"""A small set that can be produced: real pairs, palettes, and networks as initialised."""

from pathlib import Path

import pytest
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.shards import PairSet, ShardWriter
from tests.synth import small
from tests.synth.scenes import STREET, law_of, scene

METHODS = ("none", "real", "semantic_palette", "partial_palette", "oasis", "spade", "regions")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `palette`, and some methods; nothing is trained."""
    root = tmp_path_factory.mktemp("artifacts")
    classes = ClassTable(tuple(ClassInfo(n, (0, 0, 0)) for n in ("road", "sky", "car", "void")))
    about = {
        "classes": classes,
        "size": STREET,
        "fingerprint": "f",
        "origin": {"real": {"by": "me"}},
    }
    with ShardWriter(root / "train", **about) as writer:
        for index in range(10):
            writer.write(scene(index))
    real = PairSet(root / "train")
    model = law_of(real.column("palette"), most=2)
    model.save(root / "palette", {})
    torch.manual_seed(0)
    for name in METHODS:
        small.write_artifact(root / name, name, classes, STREET, model)
    return root
