"""Pixels of shapes are COCO's, wherever they lie, and hostile ones cost no memory."""

import resource

import numpy as np
import pytest
from pycocotools import mask as coco

from data.sources.annotations.drawing import (
    MAX_PERIMETER,
    ellipse,
    lengths,
    pieces,
    rectangle,
    turned,
)
from data.sources.annotations.shapes import Patch, Rings, Runs, Shape, Stroke
from data.stage.errors import UserError

SIZE = (50, 30)


def drawn(*parts, size=SIZE, width=3) -> np.ndarray:
    found = pieces(Shape("a", parts), size, width)
    label = np.zeros(size[::-1], bool)
    label[found.place] = found.mask
    return label


def whole(ring, size=SIZE) -> np.ndarray:
    """Draw an outline as pycocotools does in the whole picture."""
    flat = [[value for point in ring for value in point]]
    packed = coco.frPyObjects(flat, size[1], size[0])[0]
    runs = lengths(packed["counts"].decode())
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size).T


def test_outlines_are_those_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for trial in range(200):
        ring = rng.uniform((-10, -10), (60, 40), (rng.integers(3, 9), 2))
        ring = np.round(ring, trial % 3)
        np.testing.assert_array_equal(drawn(Rings((ring.tolist(),))), whole(ring.tolist()))


def test_an_outline_far_out_of_the_picture_is_cut_to_the_same_pixels() -> None:
    for far in (1e3, 1e9, 1e300):
        ring = [(10, 5), (far, 5), (far, 20), (10, 20)]
        np.testing.assert_array_equal(drawn(Rings((ring,))), whole(rectangle(10, 5, 90, 20)))
        found = pieces(Shape("a", (Rings((ring,)),)), SIZE, 1)
        assert found.outside
        gone = pieces(Shape("a", (Rings((rectangle(far, 0, 2 * far, 9),)),)), SIZE, 1)
        assert gone.outside and not gone.mask.any()
    inside = pieces(Shape("a", (Rings((rectangle(0, 0, 50, 30),)),)), SIZE, 1)
    assert not inside.outside and inside.mask.all()


def test_rings_inside_of_rings_are_filled_or_holes() -> None:
    rings = (rectangle(5, 5, 25, 25), rectangle(10, 10, 20, 20))
    filled, holes = drawn(Rings(rings)), drawn(Rings(rings, holes=True))
    assert filled.sum() == 400 and holes.sum() == 300
    assert not holes[10:20, 10:20].any()
    keyhole = [*rings[0], rings[0][0], rings[1][0], *rings[1][::-1], rings[0][0]]
    assert not drawn(Rings((keyhole,)))[12:18, 12:18].any(), "an outline that leads inside"


def test_circles_lines_points_and_patches() -> None:
    disc = drawn(Rings((ellipse((20, 15), (8, 8)),)))
    rows, columns = np.mgrid[:30, :50] + 0.5
    distance = np.hypot(columns - 20, rows - 15)
    assert disc[distance < 7.3].all() and not disc[distance > 8.7].any()
    line = drawn(Stroke([(5.5, 10.5), (30.5, 10.5)]))
    assert line[9:12, 6:30].all() and not line[13:].any() and not line[:8].any()
    dot = drawn(Stroke([(20.5, 10.5)]))
    assert dot[10, 20] and 5 <= dot.sum() <= 9
    patch = drawn(Patch(lambda size: np.ones((4, 6), bool), left=47, top=-2))
    assert patch[:2, 47:].all() and patch.sum() == 6
    tall = drawn(Rings((turned(rectangle(10, 10, 30, 14), (20, 12), 90),)))
    assert tall[3:21, 19:21].all() and not tall[:, :17].any()


def test_parts_of_one_object_are_one() -> None:
    both = drawn(Rings((rectangle(2, 2, 6, 6),)), Stroke([(20.5, 20.5)]))
    assert both[2:6, 2:6].all() and both[20, 20] and both.sum() < 30


def test_runs_must_fill_the_picture() -> None:
    assert drawn(Runs([3, 1, 1496], SIZE))[3, 0]
    for counts in ([3, 1], [0, 2**31], [-1, 1501], [1.5, 1498.5], [2**70], "0", "", "~~~", "1P"):
        with pytest.raises(UserError, match="run-length mask is broken"):
            drawn(Runs(counts, SIZE))
    with pytest.raises(UserError, match="is of 50000x30000 pixels, its image of 50x30"):
        drawn(Runs([1_500_000_000], (50000, 30000)))


def test_hostile_shapes_cost_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    zigzag = [(0.0, 0.0), (49.0, 29.0)] * (MAX_PERIMETER // 70)
    with pytest.raises(UserError, match=r"winds for \d+ pixels"):
        drawn(Rings((zigzag,)))
    drawn(Stroke([(-1e30, 3), (1e30, 4)]))
    drawn(Rings((rectangle(-1e30, -1e30, 1e30, 1e30),)))
    drawn(Patch(lambda size: np.ones((9, 9), bool), left=10**30, top=-(10**30)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB
