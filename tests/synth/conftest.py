"""A small set that can be produced: real pairs, palettes, and networks as initialised."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.palettes import palette
from synth.training import artifact

SIZE = (32, 64)
LEVELS = [[0, 8, 4], [4, 4, 4], [4, 4, 4], [4, 4, 4]]
CONFIGS = {
    "none": {},
    "real": {},
    "semantic_palette": {"latent": 8, "width": 8, "levels": LEVELS},
    "partial_palette": {"latent": 8, "width": 8, "hidden": 8, "levels": LEVELS},
    "oasis": {"num_images": 8, "width": 4, "critic_width": 4, "noise_channels": 4, "hidden": 8},
    "spade": {"num_images": 8, "width": 4, "critic_width": 4, "hidden": 8},
}


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `palette`, and every method above; nothing is trained."""
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
    for name, config in CONFIGS.items():
        entry = LAYOUTS.get(name) or PAINTERS[name]
        extra = {"palettes": model} if name in LAYOUTS else {}
        numbers = entry.Config(**config).model_dump()
        method = entry.build(num_classes=4, size=SIZE, **extra, **numbers)
        nets = None if method is None else nn.ModuleDict({n: method.nets[n] for n in method.ema})
        (root / name).mkdir()
        description = artifact.Description(name, numbers, classes, SIZE, "f")
        artifact.write(root / name, description, nets, [])
    return root


def scene(index: int) -> Pair:
    rng = np.random.default_rng(index)
    label = np.zeros(SIZE, np.uint8)
    label[: int(rng.integers(8, 20))] = 1
    left = int(rng.integers(0, 48))
    label[22:28, left : left + 12] = 2
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Pair(f"scene-{index}", image, label, "real")
