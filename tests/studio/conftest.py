"""What a tiny run leaves: real pairs, a palette, networks as initialised, a segmenter."""

from dataclasses import replace

import pytest
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.shards import PairSet, ShardWriter
from data.stage.compute import Compute
from studio.shelf import Shelf, default_state
from studio.state import parse
from synth.making.parts import ProduceParams
from tests.synth import small
from tests.synth.scenes import STREET, law_of, scene

COLORS = {"road": (128, 64, 128), "sky": (70, 130, 180), "car": (0, 0, 142), "hat": (250, 0, 0)}
CLASSES = ClassTable(tuple(ClassInfo(*entry) for entry in COLORS.items()))
PRODUCE = {"batch_size": 4, "seed": 0, "repaint": {"num_layouts": 1, "num_images": 2}}


def save_segmenter(folder):
    from segment import archs, mm
    from segment.cell import save_model

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    config = archs.find("resnet18_mlp").build(CLASSES.num_classes, width=8, channels=16)
    config = archs.complete(config, STREET)
    save_model(folder, mm.build_model(config), config, "made of nothing")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Artifacts as `dvc.yaml` lays them out."""
    root = tmp_path_factory.mktemp("run") / "artifacts"
    train = root / "real" / "train"
    train.mkdir(parents=True)
    with ShardWriter(train, classes=CLASSES, size=STREET, fingerprint="f") as writer:
        for index in range(10):
            pair = scene(index)
            image = pair.image // 4 + CLASSES.colorize(pair.label) // 4 * 3
            writer.write(replace(pair, image=image))
    palettes = law_of(PairSet(train).column("palette"), most=2)
    palettes.save(root / "palette", {})
    torch.manual_seed(0)
    for name in ("semantic_palette", "transplant", "partial_palette"):
        small.write_artifact(root / "layouts" / name, name, CLASSES, STREET, palettes, train=train)
    for name in ("spade", "regions", "none"):
        small.write_artifact(root / "painters" / name, name, CLASSES, STREET)
    save_segmenter(root / "segment" / "real" / "0")
    return root


def linked(run, root):
    """Make links to the artifacts of a run in a new folder, and a report beside them."""
    root.mkdir(parents=True)
    for entry in run.iterdir():
        (root / entry.name).symlink_to(entry)
    report = root.parent / "evaluate" / "report.html"
    report.parent.mkdir()
    report.write_text("<h1>the report</h1>")
    return root


@pytest.fixture
def artifacts(run, tmp_path):
    """Artifacts that a test may change."""
    return linked(run, tmp_path / "run" / "artifacts")


@pytest.fixture
def shelf(artifacts):
    torch.set_num_threads(1)
    compute = Compute("cpu", "fp32", False, 1)
    return Shelf(artifacts, compute, ProduceParams(**PRODUCE))


@pytest.fixture
def state(shelf):
    return parse(default_state(shelf))
