"""A layout method and a painter that were joined, and a stream of scenes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data.pairs.pair import palette_of
from synth.joints import joint
from synth.nets.losses import Perceptual
from synth.training.method import Given
from tests.synth import small
from tests.synth.scenes import SIZE, law_of, skies, stream_of

C, BATCH = 4, 4
SETTINGS = {"levels": ((0, 8, 4), (4, 8, 4), (4, 8, 4)), "hidden": 4}
SETTINGS |= {"num_images": 8, "batch_size": 4, "num_doublings": 3, "max_channels": 12}
JOINED = {"num_images": 12, "batch_size": BATCH, "warm_up_images": 8, "critic_width": 4}


@pytest.fixture(scope="session")
def labels():
    return skies(12)


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(1).integers(0, 256, (12, *SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def palettes(labels):
    return law_of(palette_of(labels, C))


@pytest.fixture
def stream(labels, images):
    return stream_of(labels, images)


@pytest.fixture
def build(palettes):
    def make(layout="semantic_palette", painter="spade", perceptual=False, **changes):
        torch.manual_seed(0)
        given = Given(C, SIZE, palettes)
        laying, painting = (
            small.build(name, given, **small.known(name, **SETTINGS)) for name in (layout, painter)
        )
        if perceptual:
            painting = replace(painting, perceptual=Perceptual())
        return joint.build(small.joint_config(**{**JOINED, **changes}), laying, painting)

    return make
