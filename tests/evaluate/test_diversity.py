"""How much images of one layout differ."""

import numpy as np
import pytest

from evaluate.metrics.diversity import diversity

REAL = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0]])  # distances 6, 8, 10


def test_by_hand():
    images = np.array([[0, 0], [5, 5], [3, 4], [5, 7], [5, 9], [99, 99]], dtype=np.float32)
    own, real = diversity(images, ["a", "b", "a", "b", "b", "alone"], REAL)
    assert own == pytest.approx((5 + (2 + 4 + 2) / 3) / 2)
    assert real == pytest.approx(8)


def test_a_painter_without_noise_has_none():
    assert diversity(np.ones((4, 2)), [0, 0, 1, 1], REAL)[0] == 0


def test_without_a_layout_painted_twice_nothing_is_said():
    assert diversity(np.ones((3, 2)), [0, 1, 2], REAL) is None
