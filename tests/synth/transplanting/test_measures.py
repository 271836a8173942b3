"""Laws of objects on measures written by hand, where pictures would be hard to draw."""

import numpy as np

from data.pairs.classes import ClassInfo, ClassTable
from synth.layouts.transplanting import laws
from synth.layouts.transplanting.cutting import Measured

HEIGHT = 100
ROAD, CAR, SIGN = range(3)
CLASSES = ClassTable(tuple(ClassInfo(name, (9, 9, 9)) for name in ("road", "car", "sign")))


def measured(*objects):
    """Components of (class, row where they end, log area), one a pair, nothing around them."""
    kind, ends, log_area = (np.array(column) for column in zip(*objects, strict=True))
    count = len(kind)
    none, ones = np.zeros(count, np.int64), np.ones(count, np.int64)
    tops = np.round(ends * HEIGHT).astype(np.int64) - 1
    empty = np.zeros((count, 4), np.int64)
    return Measured(
        (HEIGHT, HEIGHT),
        *(np.arange(count), kind, tops, none, ones, ones, none),
        np.exp(log_area),
        *(none, empty, empty),
    )


def test_a_class_that_shows_perspective_by_its_fragments_alone_follows_no_row():
    """Far up many signs are cut off; the whole ones are no smaller there than below."""
    cars = [(CAR, row, -9 + 5 * row) for row in np.linspace(0.5, 0.9, 30)]
    signs = [(SIGN, 0.5, -6.25)] * 30 + [(SIGN, 0.1, -6.05)] * 10 + [(SIGN, 0.1, -8.5)] * 30
    found = measured(*cars, *signs)
    usable, objects = np.ones(len(found), bool), np.array([False, True, True])
    shares = np.array([0.8, 0.15, 0.05])
    law = laws.fit(found, usable, objects, classes=CLASSES, shares=shares, height=HEIGHT)
    assert law.follows.tolist() == [False, True, False]
    assert law.size[CAR, 1] > 4 and law.size[SIGN, 1] == 0
