"""How much images of one layout differ."""

import numpy as np
import pytest

from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from evaluate.metrics.diversity import found_of, of_set, painted_again
from evaluate.metrics.features import see
from evaluate.metrics.metric import RealPairs, Reference, Scored

SIZE = (16, 32)


def write(folder, classes, images, labels) -> PairSet:
    with ShardWriter(folder, classes=classes, size=SIZE, fingerprint="x") as writer:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.write(Pair(f"p-{number}", image, np.full(SIZE, label, np.uint8), "semi"))
    return PairSet(folder)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, *SIZE, 3), np.uint8)


@pytest.fixture
def score(classes, colour_eyes, tmp_path, images):
    def of(painted: np.ndarray, labels: list[int], eyes=colour_eyes):
        again = write(tmp_path / "again", classes, painted, labels)
        real = write(tmp_path / "real", classes, images, [0] * len(images))
        seen = see(real, range(len(real)), colour_eyes, batch_size=4)
        nothing = np.empty((0, 4))
        known = RealPairs(tuple(real.ids()), (None,) * 6, real.column("palette"), nothing, seen)
        reference = Reference(known, known, 0.0)
        scored = Scored(again, [], [], None, reference, 4, repainted=again, eyes=eyes)
        return of_set(scored), seen

    return of


def test_layouts_that_were_painted_once_do_not_count(classes, images, tmp_path, score):
    labels = [0, 1, 0, 2, 1, 1]
    assert painted_again(write(tmp_path / "set", classes, images, labels)) == [[0, 2], [1, 4, 5]]
    assert score(images[:3], [0, 1, 2])[0] is None


def test_a_painter_without_noise_has_none(score, images):
    found, _ = score(images[[0, 0, 1, 1]], [0, 0, 1, 1])
    assert found.value == pytest.approx(0, abs=1e-6)


def test_real_images_as_images_of_one_layout_have_all_of_it(score, images):
    found, seen = score(images, [0] * 6)
    assert found.value == pytest.approx(100)
    assert found.parts["real"] == seen.apart


def test_without_eyes_nothing_is_said(score, images):
    assert score(images, [0] * 6, eyes=None)[0] is None


def test_layouts_weigh_alike():
    assert found_of([1.0, 3.0], 8.0).value == pytest.approx(25)
