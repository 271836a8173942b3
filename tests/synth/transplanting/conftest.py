"""Streets whose objects follow laws that are known, and what is fitted to them."""

import pytest
import torch

from data.pairs.shards import PairSet
from tests.synth import small
from tests.synth.scenes import law_of
from tests.synth.transplanting.helpers import CLASSES, SIZE, street, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Real pairs, finer ones, palettes, and the artifacts of what is fitted or painted."""
    root = tmp_path_factory.mktemp("transplant")
    real = write(root / "train", [street(index) for index in range(24)])
    write(root / "detail", [street(index, finer_by=2) for index in range(24)])
    model = law_of(real.column("palette"))
    model.save(root / "palette", {})
    torch.manual_seed(0)
    small.write_artifact(root / "none", "none", CLASSES, SIZE)
    small.write_artifact(root / "oasis", "oasis", CLASSES, SIZE, num_doublings=3)
    small.write_artifact(root / "real", "real", CLASSES, SIZE)
    numbers = {"min_pixels": 4, "largest": 0.2}
    small.write_artifact(
        root / "transplant", "transplant", CLASSES, SIZE, train=root / "train", **numbers
    )
    return root


@pytest.fixture(scope="session")
def real(folder):
    return PairSet(folder / "train")
