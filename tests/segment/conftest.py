"""Tiny pair sets whose colours follow their labels, so that a tiny segmenter can learn them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from segment.stages import rows as rows_stage
from segment.stages import train as train_stage

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


def write_set(out: Path, source: str, numbers: Iterable[int], **columns: Any) -> PairSet:
    origin = {source: {"painter": "none"}}
    with ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="test", origin=origin) as writer:
        for number in numbers:
            image, label = scene(number)
            more = {name: make(number) for name, make in columns.items()}
            writer.write(Pair(f"{source}-{number:04d}", image, label, source, **more))
    return PairSet(out)


@pytest.fixture(scope="session", name="write_set")
def _write_set() -> Callable[..., PairSet]:
    """The writer of the sets below, for tests that want other ones."""
    return write_set


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`real/{train,val,test}`, and two sets of synthetic pairs, `semi` and the larger `more`."""
    root = tmp_path_factory.mktemp("artifacts")
    for split, numbers in (
        ("train", range(12)),
        ("val", range(200, 206)),
        ("test", range(300, 304)),
    ):
        write_set(root / "real" / split, "real", numbers)
    write_set(root / "pairs/semi", "semi", range(100, 109))
    write_set(root / "pairs/more", "more", range(400, 418), edited=half, parent=parent_of)
    return root


def half(number: int) -> np.ndarray:
    """Say that the right half of a pair was edited."""
    edited = np.zeros(SIZE, bool)
    edited[:, SIZE[1] // 2 :] = True
    return edited


def parent_of(number: int) -> str | None:
    """Return the real pair that a pair descends from; every third has none."""
    return f"real-{number % 12:04d}" if number % 3 else None


ROWS: dict[str, dict[str, Any]] = {
    "real": {},
    "semi": {"with": ["semi"]},
    "both": {"with": ["semi", "more"]},
    "alone": {"with": ["semi"], "real": 0},
    "adapted": {"with": ["semi"], "adapt": "advent"},
}

SEGMENT: dict[str, Any] = {
    "arch": "resnet18_mlp",
    "iterations": 8,
    "per_batch": {"real": 2, "synthetic": 2},
    "seam": 0,
    "num_slices": 3,
    "lr": 1e-3,
    "weight_decay": 0.01,
    "crop": [0.6, 1.0],
    "flip": 0.5,
    "supervise": "all",
    "class_weight_power": 0.5,
    "class_weight_max": 20.0,
    "val_every": 3,
    "num_workers": 0,
    "memory_limit_mb": 100,
    "weights": None,
    "archs": {"resnet18_mlp": {"width": 8, "channels": 16}},
}

Workspace = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Change into a folder whose params.yaml has the given rows and changes of `segment`."""

    def make(
        rows: Any = ROWS,
        trust: Any = None,
        precision: str = "fp32",
        seeds: Sequence[int] = (0,),
        **changes: Any,
    ) -> Path:
        advent = {"weight": 0.01, "width": 4, "lr": 1e-3}
        compute = {"precision": precision, "channels_last": True, "threads": 1}
        cutmix = {"probability": 0.5, "area": [0.1, 0.5]}
        classmix = {"probability": 0.5, "below": 0.5}
        augment = {"scale": [0.4, 1.2], "cutmix": cutmix, "classmix": classmix}
        params = {"segment": SEGMENT | changes, "rows": rows, "trust": trust or {}}
        params |= {"report": {"seeds": list(seeds)}}
        params |= {"augment": augment}
        params |= {"compute": compute}
        YAML().dump(params | {"adapt": {"advent": advent}}, tmp_path / "params.yaml")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


@pytest.fixture
def train(artifacts: Path) -> Callable[..., Path]:
    """Train a cell of a row of the workspace, as the stages `rows` and `segment` do."""

    def make(out: Path, row: str = "semi", seed: int = 0, root: Path = artifacts) -> Path:
        folders = {"pairs": root / "pairs", "real": root / "real", "trust": root / "trust"}
        rows_stage.main(**folders, out=out.parent / "rows")
        file = out.parent / "rows" / f"{row}.json"
        train_stage.main(row=file, seed=seed, **folders, out=out)
        return out

    return make
