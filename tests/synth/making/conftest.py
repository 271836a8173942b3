"""Networks as initialised, from which pairs are made: producing needs no training."""

import pytest
import torch

from data.pairs.shards import PairSet, ShardWriter
from synth.layouts import LAYOUTS
from tests.synth import small
from tests.synth.making.helpers import CLASSES
from tests.synth.scenes import STREET, law_of, scene
from tests.synth.small import EDITORS


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Real pairs, a fitted palette, and networks as initialised: producing needs no training."""
    root = tmp_path_factory.mktemp("artifacts")
    with ShardWriter(root / "train", classes=CLASSES, size=STREET, fingerprint="f") as writer:
        for index in range(10):
            writer.write(scene(index))
    real = PairSet(root / "train")
    model = law_of(real.column("palette"), most=2)
    model.save(root / "palette", {})
    torch.manual_seed(0)
    for name in (*LAYOUTS, "oasis", "regions"):
        small.write_artifact(root / name, name, CLASSES, STREET, model, train=root / "train")
    masks = {"band": 0.4, "classes": 0.3, "switch": 0.3}
    for name in EDITORS:
        small.write_artifact(root / "editor", name, CLASSES, STREET, model, masks=masks)
    return root
