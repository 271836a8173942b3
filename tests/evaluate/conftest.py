"""A small finished project: pair sets, cells made of hand-made confusions, parameters."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.confusion import confusion
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.outputs import write_json
from evaluate import reference
from evaluate.cells import sums_of
from evaluate.metrics.features import Eyes
from evaluate.metrics.judge import Judge
from evaluate.stages import judge, report
from evaluate.stages import score as score_stage
from evaluate.verdicts.gains import Measured
from tests.evaluate.projects import ARTIFACTS, OUT

yaml = YAML(typ="safe", pure=True)

SETS = ("semi", "palette", "partial")
ACCURACY = {"real": 0.80, "real_more": 0.82, "semi": 0.70, "palette": 0.80, "partial": 0.95}
SIZE = (16, 32)
GROUPS, EVAL_IDS = 8, (0, 1, 2)  # of measurements made by hand
PARAMS = """
preset: default
dataset:
  {source: SOURCE, root: /home/someone/data, height: 16, width: 32, streets: {a: 1}, camvid: {b: 2}}
palette: {}
layouts: {real: {}, semantic_palette: {width: 8}, partial_palette: {}}
painters: {none: {}, spade: {width: 9}, oasis: {width: 8}}
produce: {seed: 0}
sets:
  semi: {layouts: real, painter: oasis, num_pairs: 12}
  palette: {layouts: semantic_palette, painter: oasis, num_pairs: 12}
  partial: {layouts: partial_palette, painter: oasis, num_pairs: 12}
rows:
  real: {}
  real_more: {real: 4}
  semi: {with: [semi]}
  palette: {with: [palette]}
  partial: {with: [partial]}
segment:
  arch: resnet18_mlp
  iterations: 30
  per_batch: {real: 2, synthetic: 2}
  num_slices: 3
  archs: {resnet18_mlp: {width: 8, channels: 16}, segformer_b0: {dropout: 0.1}}
compute: {precision: fp32, channels_last: true, threads: 1}
report:
  rows: [real, real_more, semi, palette, partial]
  once: []
  seeds: SEEDS
  num_scored: 8
  pretrained: efficientnet_lite0
  batch_size: 3
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

    def synthetic(train: PairSet, name: str, index: int, rng: np.random.Generator) -> Pair:
        own, parent = f"{name}-{index}", train[index % len(train)]
        label = parent.label
        if name == "semi":
            return Pair(own, image_of(label), label, name, parent=parent.id)
        if name == "palette":
            label = draw_label(rng)
            return Pair(own, image_of(label), label, name, target=palette_of(label, 4))
        edited = np.zeros(SIZE, bool)
        edited[:, 8:16] = True
        label = np.where(edited, draw_label(rng), label)
        target = palette_of(label, 4) * np.float32(0.25)
        image = image_of(label)
        return Pair(own, image, label, name, target=target, parent=parent.id, edited=edited)

    def repainted(train: PairSet, name: str, index: int) -> Pair:
        """Three layouts in turn, each painted twice: the second time 10 levels brighter."""
        label = train[index % 3].label
        image = image_of(label) + np.uint8(10 * (index // 3))
        return Pair(f"{name}-again-{index}", image, label, name)

    def cell(folder: Path, row: str, seed: int, splits: list[PairSet]) -> None:
        rng = np.random.default_rng([seed, list(ACCURACY).index(row)])
        arrays = {}
        for pairs in splits:
            matrices = []
            for pair in pairs.pairs():
                kept = rng.random(SIZE) < ACCURACY[row]
                predicted = np.where(kept, pair.label, np.roll(pair.label, 5, axis=0))
                matrices.append(confusion(pair.label, predicted, 4))
            arrays[pairs.path.name] = np.stack(matrices).astype(np.int32)
            arrays[f"{pairs.path.name}_ids"] = np.asarray(pairs.ids())
        folder.mkdir(parents=True)
        np.savez_compressed(folder / "confusion.npz", **arrays)
        curve = [[n * 10, 50 - 40 / n + seed, 30.0] for n in range(1, 9)]
        real, made = {"real": (2, 0), "real_more": (4, 0)}.get(row, (2, 2))
        shown = {"real": real, "synthetic": made, "real_ratio": real / (real + made)}
        compute = {"precision": "fp32", "channels_last": True, "threads": 2}
        about = {"arch": "resnet18_mlp", "iterations": 80, "compute": compute}
        repeats = {"repeats": 40.0 if made else 0}
        named = {"row": row, "seed": seed, "val_curve": curve}
        write_json(folder / "cell.json", named | about | shown | repeats)

    def write(root: Path, *, test: bool = True, seeds: str = "[0, 1, 2]", source="streets") -> Path:
        artifacts = root / "artifacts"
        splits = ["val", "test"] if test else ["val"]
        for number, split in enumerate(["train", *splits]):
            real(artifacts / "real" / split, split, 6, number)
        train = PairSet(artifacts / "real" / "train")
        scored = [PairSet(artifacts / "real" / split) for split in splits]
        about = {"classes": classes, "size": SIZE, "fingerprint": "x"}
        for name in SETS:
            rng = np.random.default_rng(7)
            with ShardWriter(artifacts / "pairs" / name, prefix=name, **about) as writer:
                for index in range(12):
                    writer.write(synthetic(train, name, index, rng))
            with ShardWriter(artifacts / "repainted" / name, **about) as writer:
                for index in range(6):
                    writer.write(repainted(train, name, index))
        for row in ACCURACY:
            for seed in range(3):
                cell(artifacts / "segment" / row / str(seed), row, seed, scored)
        curve = [{"components": count, "score": (count - 2.0) ** 2} for count in (1, 2, 3)]
        about = {"chosen_by": "aic", "curve": curve, "components": 2}
        write_json(artifacts / "palette" / "palette.json", about)
        for method in ("real", "semantic_palette", "partial_palette"):
            measures = {"kl_argmax": 0.25} if method == "semantic_palette" else {}
            write_json(artifacts / "layouts" / method / "method.json", {"measures": measures})
        folder = artifacts / "painters" / "oasis"
        compute = {"precision": "bf16", "channels_last": False, "threads": 1}
        write_json(folder / "method.json", {"measures": {}, "compute": compute})
        points = [
            {"images": 8 * n, "G/segmentation": 1 / n, "D/labelmix": 2.0} for n in range(1, 9)
        ]
        (folder / "curve.jsonl").write_text("".join(json.dumps(p) + "\n" for p in points))
        (root / "params.yaml").write_text(PARAMS.replace("SEEDS", seeds).replace("SOURCE", source))
        return root

    return write


@pytest.fixture
def measure(classes) -> Callable[[dict[str, list[float]]], Measured]:
    """Return a function that makes the cells of rows with given accuracies, one for each seed."""
    split = SimpleNamespace(
        name="val",
        pairs=SimpleNamespace(classes=classes),
        groups=tuple(map(str, range(GROUPS))),
        eval_ids=EVAL_IDS,
        named=True,
    )

    def sums(accuracy: float, rng: np.random.Generator) -> np.ndarray:
        truth = np.array([400, 200, 100, 50])
        groups = []
        for _ in range(GROUPS):
            right = rng.binomial(truth, accuracy)
            wrong = rng.multinomial(truth - right, np.full(4, 0.25))
            groups.append(sums_of(np.diag(right) + wrong, EVAL_IDS))
        return np.stack(groups)

    def made(rows: dict[str, list[float]]) -> Measured:
        rng = np.random.default_rng(0)
        cells = {row: np.stack([sums(a, rng) for a in seeds]) for row, seeds in rows.items()}
        seeds = {row: tuple(range(len(entries))) for row, entries in rows.items()}
        return Measured(split, cells, seeds)

    return made


@pytest.fixture(scope="session")
def colour_judge(classes) -> Judge:
    """A judge that reads the class off the colour of a pixel; never wrong here."""
    colors = np.array([entry.color for entry in classes.classes])

    def predict(images: np.ndarray) -> np.ndarray:
        distance = np.abs(images[..., None, :].astype(int) - colors).sum(axis=-1)
        return distance.argmin(axis=-1).astype(np.uint8)

    return Judge(predict, "0123456789abcdef")


@pytest.fixture(scope="session")
def colour_eyes() -> Eyes:
    """Eyes that see two strides: the colours, and the red of every second pixel beside its blue."""

    def look(images: np.ndarray) -> list[torch.Tensor]:
        colours = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
        return [colours, colours[:, ::2, ::2, ::2]]

    return Eyes(look, "colours")


@pytest.fixture(scope="session")
def score_project(colour_judge, colour_eyes) -> Callable[[], None]:
    """Return a function that runs judge and score stages in the working directory.

    The judge is another one than a trained segmenter, whose weights are a few bytes.
    """

    def score() -> None:
        artifacts = Path("artifacts")
        seed = yaml.load(Path("params.yaml"))["report"]["seeds"][0]
        cell = artifacts / "segment" / "real" / str(seed)
        (cell / "model.safetensors").write_bytes(b"weights")
        with pytest.MonkeyPatch.context() as patch:
            for module in (judge, reference):
                patch.setattr(module, "load_judge", lambda path: colour_judge)
            for module in (judge, score_stage):
                patch.setattr(module, "load_eyes", lambda name: colour_eyes)
            judge.main(cell=cell, real=artifacts / "real", out=artifacts / "judge")
            for name in SETS:
                score_stage.main(
                    set=name,
                    pairs=artifacts / "pairs" / name,
                    repainted=artifacts / "repainted" / name,
                    judge=artifacts / "judge",
                    out=artifacts / "scores" / f"{name}.json",
                )

    return score


@pytest.fixture
def project(make_project, score_project, tmp_path, monkeypatch):
    """A scored project in the working directory, to be spoiled."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    score_project()
    return tmp_path


@pytest.fixture(scope="session")
def reported(make_project, score_project, tmp_path_factory):
    """A project with its report, to look at and to copy."""
    root = make_project(tmp_path_factory.mktemp("reported"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score_project()
        report.main(artifacts=ARTIFACTS, out=OUT)
    return root


@pytest.fixture
def copied(reported, tmp_path, monkeypatch):
    """A copy of that project in the working directory."""
    monkeypatch.chdir(shutil.copytree(reported, tmp_path / "copy"))
