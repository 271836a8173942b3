"""An edit as the editor sees it: the same at every grid, and room where something is missing."""

import numpy as np
import pytest
import torch

from data.pairs.batches import onehot
from synth.layouts.common.activation import assisted_present
from synth.layouts.common.masks import averages, band_of, box_of, remove, shares, switch
from synth.layouts.common.scene import Scene
from synth.training.method import generator

C, SIZE, GRIDS = 5, (16, 32), ((16, 32), (8, 16), (4, 8))


@pytest.fixture
def label():
    return torch.from_numpy(np.random.default_rng(0).integers(0, C, (6, *SIZE)))


@pytest.fixture
def edit(label):
    places = torch.rand(len(label), 4, generator=generator(3))
    return remove(label, box_of(places, SIZE, (0.2, 0.7)), C)


def scene(edit, finest=SIZE, keep="outside"):
    return Scene(edit, finest, keep=keep, z=torch.zeros(len(edit.label), 1))


def test_averages_are_means_of_cells(label):
    for grid in GRIDS:
        wanted = torch.nn.functional.adaptive_avg_pool2d(onehot(label, C), grid)
        torch.testing.assert_close(averages(label, C, grid), wanted)
    torch.testing.assert_close(shares(label, C), onehot(label, C).mean((2, 3)))


def test_an_edit_looks_the_same_whichever_grid_is_the_finest(edit):
    whole = scene(edit)
    for number, grid in enumerate(GRIDS):
        coarser = scene(edit, grid)
        for smaller in GRIDS[number:]:
            for seen in ("layout", "hole"):
                one, two = getattr(whole, seen)(smaller), getattr(coarser, seen)(smaller)
                torch.testing.assert_close(one, two)
            torch.testing.assert_close(whole.condition.at(smaller), coarser.condition.at(smaller))
            torch.testing.assert_close(whole.layout(smaller).sum(1), torch.ones(6, *smaller))


def test_nothing_of_what_was_removed_is_seen(edit, label):
    other = torch.where(edit.removed, (label + 1) % C, label)
    changed = scene(remove(other, edit.removed, C))
    for grid in GRIDS:
        assert torch.equal(scene(edit).layout(grid), changed.layout(grid))
        assert torch.equal(scene(edit).condition.at(grid), changed.condition.at(grid))


@pytest.mark.parametrize("grid", GRIDS)
def test_classes_have_room_in_the_hole_alone_and_keep_outside(edit, grid):
    logits = 30 * torch.randn(len(edit.label), C + 1, *grid, generator=generator(1))
    made, hole = scene(edit).activate(logits, edit.share), scene(edit).hole(grid)
    torch.testing.assert_close(made.soft.sum(1), torch.ones(len(hole), *grid))
    torch.testing.assert_close(made.mask.mean((2, 3)), edit.share)
    assert bool((made.soft[:, :-1] * (hole == 0) == 0).all())
    assert bool((made.soft[:, -1:] * (hole == 1) == 0).all())
    outside = (hole == 0).expand(-1, C, -1, -1)
    merged = scene(edit).merge(made.soft)
    torch.testing.assert_close(merged[outside], scene(edit).layout(grid)[outside])


def test_a_hole_over_everything_and_one_of_a_pixel_are_filled(label):
    holes = torch.ones_like(label, dtype=torch.bool)
    holes[1:] = False
    holes[1:, 3, 5] = True
    edit = remove(label, holes, C)
    assert bool((edit.share[1:, :-1] > 0).sum(1).eq(1).all()), "the class that was there"
    for grid in GRIDS:
        logits = torch.randn(len(label), C + 1, *grid, generator=generator(1))
        soft = scene(edit).activate(logits, edit.share).soft
        torch.testing.assert_close(soft.sum(1), torch.ones(len(label), *grid))
        assert bool((soft[0, -1] == 0).all())


def test_a_switch_has_room_everywhere(label):
    palette = torch.zeros(len(label), C)
    palette[:, 2] = 0.5
    edit = switch(label, palette)
    logits = torch.randn(len(label), C + 1, *SIZE, generator=generator(1))
    made = scene(edit).activate(logits, edit.share)
    torch.testing.assert_close(made.soft, assisted_present(logits, edit.share).soft)


def test_released_editors_learn_what_to_keep(edit):
    logits = torch.randn(len(edit.label), C + 1, *SIZE, generator=generator(1))
    made = scene(edit, keep="learnt").activate(logits, edit.share)
    torch.testing.assert_close(made.soft, assisted_present(logits, edit.share).soft)


def test_bands_and_boxes_have_the_sides_asked_for():
    places = torch.rand(400, 4, generator=generator(0))
    size = (40, 100)
    widths = band_of(places[:, :2], size, (0.15, 0.5))[:, 0].sum(1)
    assert int(widths.min()) == 15 and int(widths.max()) == 50
    boxes = box_of(places, size, (0.1, 0.3))
    down, across = boxes.any(2).sum(1), boxes.any(1).sum(1)
    assert (int(down.min()), int(down.max())) == (4, 12)
    assert (int(across.min()), int(across.max())) == (10, 30)
    assert torch.equal(boxes.sum((1, 2)), down * across)


def test_traces_in_a_hole_are_not_asked_for():
    label = torch.zeros(1, 50, 50, dtype=torch.int64)
    label[0, :2, :2] = 3  # 4 of 2,500 pixels
    label[0, 4:, :25] = 1
    hole = torch.zeros_like(label, dtype=torch.bool)
    hole[0, :, :25] = True
    share = remove(label, hole, C).share[0]
    assert share[3] == 0 and float(share[:2].sum()) == pytest.approx(0.5)
    assert float(share[-1]) == pytest.approx(0.5)
