"""Edits that a set asks for: what is refused, which pairs are taken, what becomes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import palette_of
from data.stage.errors import UserError
from synth.layouts.common.edits import Edits, describe, editor, fitting
from synth.training.method import Given, generator
from tests.synth import small
from tests.synth.scenes import SIZE, law_of

NAMES = ("sky", "road", "car", "sign")
CLASSES = ClassTable(tuple(ClassInfo(name, (0, 0, 0)) for name in NAMES))
SKY, ROAD, CAR, SIGN = range(4)


@pytest.fixture(scope="module")
def labels():
    """Sky above road, a car in every second layout, no sign but in the last, which is all sign."""
    rng = np.random.default_rng(0)
    label = np.zeros((9, *SIZE), np.uint8)
    for number, item in enumerate(label):
        item[rng.integers(6, 12) :] = ROAD
        if number % 2:
            item[5:10, 4:10] = CAR
    label[-1] = SIGN
    return label


def built(labels, masks):
    torch.manual_seed(0)
    law = law_of(palette_of(labels, 4))
    levels = [[0, 8, 4], [4, 4, 4], [4, 4, 4]]
    given = Given(4, SIZE, law)
    return small.build("partial_palette", given, hidden=4, levels=levels, masks=masks)


@pytest.fixture(scope="module")
def method(labels):
    """An editor as initialised, which is asked for all three kinds."""
    return built(labels, {"band": 0.4, "classes": 0.3, "switch": 0.3})


def drawn(edits, method, labels):
    plan = editor(edits, CLASSES, method.config.masks, palette_of(labels, 4))
    real = torch.from_numpy(labels[plan.rows]).long()
    plan = replace(plan, labels=torch.from_numpy(labels[plan.rows]))
    rngs = [generator(0, row) for row in plan.rows]
    with torch.no_grad():
        return plan, real, plan.draw(method, method.nets, real=real, rngs=rngs)


def test_removed_classes_are_gone_and_all_else_stays(method, labels):
    plan, real, made = drawn(Edits(remove=["car"]), method, labels)
    assert plan.rows.tolist() == [1, 3, 5, 7], "pairs that show a car"
    assert (made.label != CAR).all()
    assert torch.equal(made.label[real != CAR], real[real != CAR])
    assert torch.equal(made.edited, real == CAR)


def test_classes_grow_to_the_share_asked_for(method, labels):
    plan, real, made = drawn(Edits(add={"sign": 0.05, "car": 0.1}), method, labels)
    assert plan.rows.tolist() == list(range(8)), "the last one is full of signs"
    palette = palette_of(made.label.numpy().astype(np.uint8), 4)
    assert palette[:, SIGN] == pytest.approx(0.05, abs=0.01)
    assert palette[:, CAR] == pytest.approx(0.1, abs=0.01)
    assert (made.label[real == CAR] == CAR).all(), "what grows stays where it is"
    assert made.target[:, [SIGN, CAR]].numpy() == pytest.approx(
        np.tile([0.05, 0.1], (8, 1)), abs=1e-6
    )


HOLES = {"bands": [0.25, 0.5], "boxes": [0.25, 0.5]}


@pytest.mark.parametrize("edits", [HOLES, HOLES | {"boxes": None}, HOLES | {"bands": None}])
def test_holes_have_the_sides_asked_for_and_all_else_stays(labels, edits):
    method = built(labels, {"band": 0.5, "box": 0.5})
    plan, real, made = drawn(Edits(**edits), method, labels)
    assert plan.rows.tolist() == list(range(9))
    assert torch.equal(made.label[~made.edited], real[~made.edited])
    is_band = made.edited.all(1).any(1)
    assert bool(is_band.any()) == bool(edits["bands"])
    assert bool((~is_band).any()) == bool(edits["boxes"])
    wide, high = (made.edited.any(axis).sum(1) for axis in (1, 2))
    assert int(wide.min()) >= 8 and int(wide.max()) <= 16
    assert bool(((high >= 4) & (high <= 8))[~is_band].all())
    torch.testing.assert_close(made.target.sum(1), torch.ones(9))


def test_a_hole_is_asked_for_what_another_layout_has_there(labels):
    method = built(labels, {"band": 1.0})
    removed = drawn(Edits(bands=[0.5, 0.5], like="removed"), method, labels)[2]
    another = drawn(Edits(bands=[0.5, 0.5]), method, labels)[2]
    torch.testing.assert_close(removed.edited, another.edited)
    own = palette_of(labels, 4)
    assert np.abs(removed.target.numpy() - own).max() < 0.01
    assert (np.abs(another.target.numpy() - own).max(1) > 0.01).sum() >= 4


def test_the_label_that_fits_around_a_hole_is_taken(labels):
    real = torch.from_numpy(labels[:1]).long()
    hole = torch.zeros_like(real, dtype=torch.bool)
    hole[:, :, 12:20] = True
    near = real.clone()
    near[hole] = SIGN
    near[:, :, :4] = SIGN  # farther away than an eighth of the height
    far = real.clone()
    far[:, :, 10:12] = SIGN
    others = torch.stack([real, far, near], 1)
    assert torch.equal(fitting(real, hole, others), near), "itself is the last one to be taken"
    assert torch.equal(fitting(real, hole, others[:, :2]), far)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"remove": ["lorry"]}, "lorry"),
        ({"add": {"road": 0.01}}, "every real pair has road 0.01 already"),
        ({"remove": ["sign"]}, "no real pair shows sign beside other classes"),
    ],
)
def test_edits_that_no_pair_allows_are_refused(method, labels, edits, said):
    if "add" in edits:
        labels = labels[:8]
    with pytest.raises(UserError, match=said):
        editor(Edits(**edits), CLASSES, method.config.masks, palette_of(labels, 4))


@pytest.mark.parametrize(
    ("edits", "mask"),
    [
        ({"remove": ["car"]}, "classes"),
        ({"add": {"car": 0.2}}, "switch"),
        ({"bands": [0.2, 0.5], "boxes": [0.2, 0.5]}, "box"),
    ],
)
def test_an_editor_that_was_not_trained_for_it_is_refused(labels, edits, mask):
    with pytest.raises(UserError, match=rf"trained without.*masks\.{mask}"):
        editor(Edits(**edits), CLASSES, {"band": 1.0}, palette_of(labels, 4))


@pytest.mark.parametrize(
    "edits",
    [
        {"remove": ["car"], "add": {"sign": 0.1}},
        {"add": {"sign": 1.5}},
        {"add": {"sign": 0.0}},
        {"add": {"sign": 0.5, "car": 0.5}},
        {"bands": [0.2, 0.5], "add": {"sign": 0.1}},
        {"bands": [0.5, 0.2]},
        {"boxes": [0.0, 0.2]},
    ],
)
def test_edits_that_make_no_sense_are_refused(edits):
    with pytest.raises(ValidationError):
        Edits(**edits)


def test_edits_are_described_in_words():
    assert describe(Edits(remove=["car", "sign"])) == "without car, without sign"
    assert describe(Edits(add={"car": 0.125})) == "car grown to 0.125"
    bands = Edits(bands=[0.15, 0.5], boxes=[0.2, 0.5])
    assert describe(bands) == "bands of 15 to 50 %, boxes of 20 to 50 %"
    was = Edits(bands=[0.15, 0.5], like="removed")
    assert describe(was) == "bands of 15 to 50 %, with the palettes that were there"
    assert describe(Edits()) == ""
