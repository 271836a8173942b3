"""A small set that can be produced: real pairs, palettes, and networks as initialised."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from synth.palettes import palette
from tests.synth import small

SIZE = (32, 64)
METHODS = ("none", "real", "semantic_palette", "partial_palette", "oasis", "spade", "regions")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `palette`, and some methods; nothing is trained."""
    root = tmp_path_factory.mktemp("artifacts")
    classes = ClassTable(tuple(ClassInfo(n, (0, 0, 0)) for n in ("road", "sky", "car", "void")))
    about = {"classes": classes, "size": SIZE, "fingerprint": "f", "origin": {"real": {"by": "me"}}}
    with ShardWriter(root / "train", **about) as writer:
        for index in range(10):
            writer.write(scene(index))
    real = PairSet(root / "train")
    model, _ = palette.fit(
        real.column("palette"),
        min_components=1,
        max_components=2,
        covariance_floor=1e-3,
        projection="simplex",
        min_share=0.0,
        seed=0,
    )
    model.save(root / "palette", {})
    torch.manual_seed(0)
    for name in METHODS:
        small.write_artifact(root / name, name, classes, SIZE, model)
    return root


def scene(index: int) -> Pair:
    rng = np.random.default_rng(index)
    label = np.zeros(SIZE, np.uint8)
    label[: int(rng.integers(8, 20))] = 1
    left = int(rng.integers(0, 48))
    label[22:28, left : left + 12] = 2
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Pair(f"scene-{index}", image, label, "real")
