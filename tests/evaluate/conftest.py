"""A small finished project: pair sets, cells made of hand-made confusions, parameters."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.confusion import confusion
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.outputs import write_json

RECIPES = ("real", "semi", "palette", "partial")
ACCURACY = {"real": 0.80, "semi": 0.70, "palette": 0.80, "partial": 0.95}
SIZE = (16, 32)
PARAMS = """
preset: default
dataset:
  {source: SOURCE, root: /home/someone/data, height: 16, width: 32, streets: {a: 1}, camvid: {b: 2}}
palette: {}
layouts: {none: {}, real: {}, semantic_palette: {width: 8}, partial_palette: {}}
painters: {none: {}, spade: {width: 9}, oasis: {width: 8}}
produce: {num_pairs: 12}
recipes:
  real: {layouts: none, painter: none, adapt: none}
  semi: {layouts: real, painter: oasis, adapt: none}
  palette: {layouts: semantic_palette, painter: oasis, adapt: none}
  partial: {layouts: partial_palette, painter: oasis, adapt: none}
segment:
  arch: resnet18_mlp
  iterations: 30
  batch_size: 4
  real_share: 0.5
  num_slices: 3
  learning_rate: 3.0e-3
  weight_decay: 0.01
  crop: [1.0, 1.0]
  flip: 0.5
  supervise: all
  class_weight_power: 0.0
  class_weight_max: 20.0
  val_every: 10
  precision: float32
  threads: 1
  num_workers: 0
  memory_limit_mb: 10
  weights: null
  archs: {resnet18_mlp: {width: 8, channels: 16}, segformer_b0: {dropout: 0.1}}
report:
  recipes: [real, semi, palette, partial]
  seeds: SEEDS
  num_scored: 8
  scored: []
  gan_train: []
  batch_size: 3
  threads: 1
  sheet_rows: 2
  palette_classes: 3
  rare_percent: 5.0
"""


@pytest.fixture(scope="session")
def classes() -> ClassTable:
    """Four classes, the last of them void."""
    return ClassTable(
        (
            ClassInfo("road", (128, 64, 128)),
            ClassInfo("sky", (70, 130, 180)),
            ClassInfo("car", (0, 0, 142)),
            ClassInfo("void", (0, 0, 0), eval=False),
        )
    )


@pytest.fixture(scope="session")
def draw_label() -> Callable[[np.random.Generator], np.ndarray]:
    """Return a function that draws a street of sky, road, a car and a void strip."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        label = np.zeros(SIZE, np.uint8)
        label[: rng.integers(4, 9)] = 1
        column = rng.integers(0, 26)
        label[8:12, column : column + rng.integers(2, 6)] = 2
        label[15:] = 3
        return label

    return draw


@pytest.fixture(scope="session")
def make_project(classes, draw_label) -> Callable[..., Path]:
    """Return a function that writes a finished project into a folder."""

    def image_of(label: np.ndarray) -> np.ndarray:
        return classes.colorize(label)

    def real(folder: Path, name: str, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with ShardWriter(folder, classes=classes, size=SIZE, fingerprint="x") as writer:
            for index in range(count):
                label = draw_label(rng)
                writer.write(Pair(f"{name}-{index}", image_of(label), label, "real"))

    def synthetic(train: PairSet, recipe: str, index: int, rng: np.random.Generator) -> Pair:
        name, parent = f"{recipe}-{index}", train[index % len(train)]
        label = parent.label
        if recipe == "semi":
            return Pair(name, image_of(label), label, recipe, parent=parent.id)
        if recipe == "palette":
            label = draw_label(rng)
            return Pair(name, image_of(label), label, recipe, target=palette_of(label, 4))
        edited = np.zeros(SIZE, bool)
        edited[:, 8:16] = True
        label = np.where(edited, draw_label(rng), label)
        target = palette_of(label, 4) * np.float32(0.25)
        image = image_of(label)
        return Pair(name, image, label, recipe, target=target, parent=parent.id, edited=edited)

    def repainted(train: PairSet, recipe: str, index: int) -> Pair:
        """Three layouts in turn, each painted twice: the second time 10 levels brighter."""
        label = train[index % 3].label
        image = image_of(label) + np.uint8(10 * (index // 3))
        return Pair(f"{recipe}-again-{index}", image, label, recipe)

    def cell(folder: Path, recipe: str, seed: int, splits: list[PairSet]) -> None:
        rng = np.random.default_rng([seed, RECIPES.index(recipe)])
        arrays = {}
        for pairs in splits:
            matrices = []
            for pair in pairs.pairs():
                kept = rng.random(SIZE) < ACCURACY[recipe]
                predicted = np.where(kept, pair.label, np.roll(pair.label, 5, axis=0))
                matrices.append(confusion(pair.label, predicted, 4))
            arrays[pairs.path.name] = np.stack(matrices).astype(np.int32)
            arrays[f"{pairs.path.name}_ids"] = np.asarray(pairs.ids())
        folder.mkdir(parents=True)
        np.savez_compressed(folder / "confusion.npz", **arrays)
        curve = [[n * 10, 50 - 40 / n + seed, 30.0] for n in range(1, 9)]
        budget = {"arch": "resnet18_mlp", "iterations": 80, "batch_size": 4}
        cell = {"recipe": recipe, "seed": seed, "val_curve": curve} | budget
        write_json(folder / "cell.json", cell)

    def write(root: Path, *, test: bool = True, seeds: str = "[0, 1, 2]", source="streets") -> Path:
        artifacts = root / "artifacts"
        splits = ["val", "test"] if test else ["val"]
        for number, split in enumerate(["train", *splits]):
            real(artifacts / "real" / split, split, 6, number)
        train = PairSet(artifacts / "real" / "train")
        scored = [PairSet(artifacts / "real" / split) for split in splits]
        for recipe in RECIPES:
            rng = np.random.default_rng(7)
            out = artifacts / "pairs" / recipe
            with ShardWriter(
                out, classes=classes, size=SIZE, fingerprint="x", prefix=recipe
            ) as writer:
                writer.add_shards_of(train)
                for index in range(0 if recipe == "real" else 12):
                    writer.write(synthetic(train, recipe, index, rng))
            again = artifacts / "repainted" / recipe
            with ShardWriter(again, classes=classes, size=SIZE, fingerprint="x") as writer:
                for index in range(0 if recipe == "real" else 6):
                    writer.write(repainted(train, recipe, index))
            for seed in range(3):
                cell(artifacts / "segment" / recipe / str(seed), recipe, seed, scored)
        aic = [{"components": count, "aic": (count - 2.0) ** 2} for count in (1, 2, 3)]
        write_json(artifacts / "palette" / "palette.json", {"aic": aic, "components": 2})
        for method in ("none", "real", "semantic_palette", "partial_palette"):
            measures = {"kl_argmax": 0.25} if method == "semantic_palette" else {}
            write_json(artifacts / "layouts" / method / "method.json", {"measures": measures})
        folder = artifacts / "painters" / "oasis"
        folder.mkdir(parents=True)
        points = [
            {"images": 8 * n, "G/segmentation": 1 / n, "D/labelmix": 2.0} for n in range(1, 9)
        ]
        (folder / "curve.jsonl").write_text("".join(json.dumps(p) + "\n" for p in points))
        (root / "params.yaml").write_text(PARAMS.replace("SEEDS", seeds).replace("SOURCE", source))
        return root

    return write
