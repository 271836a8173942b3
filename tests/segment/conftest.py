"""Tiny pair sets whose colours follow their labels, so that a tiny segmenter can learn them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter

SIZE = (32, 48)
CLASSES = ClassTable(
    (
        ClassInfo("sky", (70, 130, 180)),
        ClassInfo("road", (128, 64, 128)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sky above road, a void box in between; noise on every colour."""
    rng = np.random.default_rng(seed)
    label = np.ones(SIZE, np.uint8)
    label[: rng.integers(10, 22)] = 0
    top, left = rng.integers(0, 20), rng.integers(0, 32)
    label[top : top + 10, left : left + 12] = 2
    noise = rng.integers(-40, 40, (*SIZE, 3))
    return np.clip(CLASSES.colorize(label) + noise, 0, 255).astype(np.uint8), label


def write_set(out: Path, seeds: range, synthetic: range = range(0)) -> PairSet:
    origin = {"real": {"dataset": "scenes"}, "semi": {"painter": "none"}}
    with ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="test", origin=origin) as writer:
        for source, numbers in (("real", seeds), ("semi", synthetic)):
            for number in numbers:
                image, label = scene(number)
                writer.write(Pair(f"{source}-{number:04d}", image, label, source))
    return PairSet(out)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`real/{val,test}` and the pair sets of two recipes: `real`, and `semi` with synthetic."""
    root = tmp_path_factory.mktemp("artifacts")
    write_set(root / "pairs/real", range(12))
    write_set(root / "pairs/semi", range(12), synthetic=range(100, 109))
    write_set(root / "real/val", range(200, 206))
    write_set(root / "real/test", range(300, 304))
    return root


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Change into a folder whose params.yaml has the given changes of section `segment`."""

    def make(**changes: Any) -> Path:
        segment = {
            "arch": "resnet18_mlp",
            "iterations": 8,
            "batch_size": 4,
            "real_share": 0.5,
            "num_slices": 3,
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
            "crop": [0.6, 1.0],
            "flip": 0.5,
            "supervise": "all",
            "class_weight_power": 0.5,
            "class_weight_max": 20.0,
            "val_every": 3,
            "precision": "float32",
            "threads": 1,
            "num_workers": 0,
            "memory_limit_mb": 100,
            "weights": None,
            "archs": {"resnet18_mlp": {"width": 8, "channels": 16}},
        }
        recipes = {name: {"adapt": "none"} for name in ("real", "semi")}
        recipes["adapted"] = {"adapt": "advent"}
        recipes["strange"] = {"adapt": "daformer"}
        advent = {"weight": 0.01, "width": 4, "lr": 1e-3}
        params = {"segment": segment | changes, "recipes": recipes, "adapt": {"advent": advent}}
        YAML().dump(params, tmp_path / "params.yaml")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make
