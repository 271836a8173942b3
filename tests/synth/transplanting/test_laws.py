"""What is read off the training pairs: laws of size, and what an object is."""

import numpy as np
import pytest
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.stage.errors import UserError
from synth.layouts.transplanting import laws
from synth.layouts.transplanting.cutting import measure
from tests.synth.transplanting.helpers import (
    CAR,
    NAMES,
    PIXELS,
    ROAD,
    SIGN,
    SIZE,
    SKY,
    compose,
    fitted,
    street,
    write,
)


def test_the_size_of_a_class_follows_the_row_as_in_the_training_pairs(real):
    law = fitted(real).bank.laws
    intercept, slope, spread = law.size[CAR]
    assert law.follows[CAR] and slope == pytest.approx(5.0, rel=0.15)
    assert intercept + slope * 0.8 == pytest.approx(-8.5 + 5 * 0.8, abs=0.1)
    assert spread < 0.2


def test_cars_and_signs_are_objects_and_what_reaches_the_border_is_not(real):
    law = fitted(real).bank.laws
    assert [NAMES[kind] for kind in np.flatnonzero(law.things)] == ["car", "sign"]
    assert np.flatnonzero(law.carries[CAR]).tolist() == [ROAD]
    assert np.flatnonzero(law.carries[SIGN]).tolist() == [SKY]
    ends = law.ends[CAR]
    assert ends[: SIZE[0] // 2].sum() < 0.01 and ends[int(0.65 * SIZE[0]) :].sum() > 0.9


def test_named_classes_are_objects_and_an_unknown_one_is_refused(real):
    assert np.flatnonzero(fitted(real, classes=["sign"]).bank.laws.things).tolist() == [SIGN]
    with pytest.raises(UserError, match="unknown class 'bus'"):
        fitted(real, classes=["bus"])


def test_named_classes_without_a_whole_object_are_refused_with_what_to_do(real):
    with pytest.raises(UserError, match="shows no whole object of road; name classes"):
        fitted(real, classes=["road"])


def test_where_nothing_can_be_moved_pairs_stay_as_they_are(tmp_path, caplog):
    """Masks of one region that touches every border: a run on such data goes on."""
    image = np.zeros((*SIZE, 3), np.uint8)
    label = np.zeros(SIZE, np.uint8)
    label[:, : SIZE[1] // 2] = 1
    table = ClassTable((ClassInfo("rest", (0, 0, 0)), ClassInfo("field", (0, 255, 0))))
    fields = write(tmp_path, [Pair(f"field-{i}", image, label, "real") for i in range(4)], table)
    with caplog.at_level("INFO"):
        drawn = compose(fitted(fields), fields, range(8), [(0.2, 0.8)] * 8)
    assert "no object that could be moved" in caplog.text
    assert "transplant: objects of" not in caplog.text
    assert not drawn.edited.any() and drawn.donors == ((),) * 8
    assert (drawn.label == torch.from_numpy(fields.labels([0] * 8))).all()


def leaf(index, middle=True):
    """A disc of 255 on 0, in the middle of its picture: a larger one ends lower."""
    rng = np.random.default_rng(index)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = rng.uniform(3, 9)
    center = (24, 32) if middle else (rng.uniform(12, 36), rng.uniform(12, 52))
    inside = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
    image = np.where(inside[..., None], (30, 120, 30), (230, 230, 230)).astype(np.uint8)
    return Pair(f"leaf-{index}", image, inside.astype(np.uint8), "real")


@pytest.mark.parametrize("middle", [True, False])
def test_without_a_horizon_objects_may_end_in_any_row(tmp_path, middle):
    table = ClassTable((ClassInfo("rest", (0, 0, 0)), ClassInfo("leaf", (0, 255, 0))))
    leaves = write(tmp_path, [leaf(index, middle) for index in range(30)], table)
    method = fitted(leaves)
    law = method.bank.laws
    assert np.flatnonzero(law.things).tolist() == [1] and not law.follows.any()
    assert law.size[1, 1] == 0 and np.ptp(law.ends[1]) == 0
    drawn = compose(method, leaves, range(60), [(0.5, 0.5)] * 60)
    rows = torch.nonzero(drawn.edited.any(2))[:, 1]
    assert rows.min() < 4 and rows.max() > 43
    assert (drawn.label == 1).sum() > 1.2 * (leaves.labels(range(30)) == 1).sum() * 2


def test_a_part_of_an_object_is_no_object(tmp_path):
    """What a nearer one hides is far too small for its row, or has it at its edge."""
    pairs = [street(index) for index in range(24)]
    for pair in pairs[:2]:
        pair.label[39:41, 1:4] = CAR  # as large as far away
    method = fitted(write(tmp_path / "parts", pairs))
    areas = method.bank.area[method.bank.kind == CAR] * PIXELS
    assert areas.min() > 9
    hidden = [street(index) for index in range(24)]
    for pair in hidden[:8]:
        car = np.argwhere(pair.label == CAR)
        (top, left), (bottom, right) = car.min(0), car.max(0)
        pair.label[top : bottom + 1, left - 1 : (left + right) // 2] = SIGN
    measured = measure(write(tmp_path / "hidden", hidden), 4 / PIXELS)
    clear = laws.unhidden(measured, np.array([False, False, True, True, False]))
    cut = (measured.kind == CAR) & (measured.row < 8)
    assert cut.any() and not clear[cut].any()
    assert clear[(measured.kind == CAR) & (measured.row >= 8)].all()


def test_what_lies_in_another_object_moves_with_it_and_stays_in_it_alone(tmp_path):
    """A cell brings its nucleus along, and a nucleus is put into cells and nowhere else."""
    names = ("rest", "cell", "nucleus")
    table = ClassTable(tuple(ClassInfo(name, (9, 9, 9)) for name in names))
    pairs = []
    for index in range(20):
        rng = np.random.default_rng(index)
        label = np.zeros(SIZE, np.uint8)
        top, left = int(rng.integers(2, 20)), int(rng.integers(2, 40))
        label[top : top + 16, left : left + 16] = 1
        label[top + 3 : top + 7, left + 3 : left + 7] = 2
        image = np.repeat((label * 100)[..., None], 3, 2)
        pairs.append(Pair(f"cell-{index}", image, label, "real"))
    cells = write(tmp_path, pairs, table)
    method = fitted(cells, num_objects=[1, 2], scale=[1.0, 1.0])
    drawn = compose(method, cells, range(40), [(0.6, 0.37, 0.03)] * 40)
    bank = method.bank
    assert bank.mixed[bank.kind == 1].all() and not bank.mixed[bank.kind == 2].any()
    added = (drawn.label == 2).sum() / (torch.from_numpy(cells.labels(range(20))) == 2).sum() / 2
    assert added > 1.3
    for label in drawn.label.numpy():
        for row, column in np.argwhere(label == 2):
            near = label[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            assert (near > 0).mean() >= 0.6
