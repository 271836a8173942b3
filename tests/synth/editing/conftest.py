"""Streets of five classes, and an editor of them."""

import numpy as np
import pytest
import torch

from data.pairs.pair import palette_of
from synth.training.method import Given
from tests.synth import small
from tests.synth.scenes import SIZE, law_of, stream_of

C = 5
SKY, ROAD, CAR, SIGN, NEVER = range(C)
SMALL = {"hidden": 4, "levels": ((0, 16, 8), (8, 8, 4), (8, 8, 4))}
BALANCED, ARGMAX = small.BALANCED, small.ARGMAX
CLEAN = {"kind": "balanced", "smallest": 6}
MIXED = {"band": 0.4, "classes": 0.3, "switch": 0.3}


@pytest.fixture(scope="module")
def labels():
    """Sky above road, a car across their border, and a sign of two pixels in most."""
    rng = np.random.default_rng(0)
    label = np.zeros((24, *SIZE), np.uint8)
    for number, item in enumerate(label):
        item[rng.integers(6, 12) :] = ROAD
        left = rng.integers(1, 24)
        item[4 : 8 + number % 3, left : left + 6] = CAR
        if number % 4:
            item[1:3, 30] = SIGN
    return label


@pytest.fixture(scope="module")
def palettes(labels):
    return law_of(palette_of(labels, C), min_share=1e-3)


@pytest.fixture
def build(palettes):
    def make(**changes):
        torch.manual_seed(0)
        return small.build("partial_palette", Given(C, SIZE, palettes), **{**SMALL, **changes})

    return make


@pytest.fixture
def stream(labels):
    return stream_of(labels)


@pytest.fixture
def real(labels):
    return torch.from_numpy(labels[:6].astype(np.int64))


def chosen(count, *ids):
    classes = torch.zeros(count, C, dtype=torch.bool)
    classes[:, list(ids)] = True
    return classes
