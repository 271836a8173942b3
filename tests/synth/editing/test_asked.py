"""What edits of real layouts ask for."""

import pytest
import torch

from data.pairs.batches import onehot
from synth.layouts.common.masks import (
    novelty,
    remove_classes,
    surroundings,
    switch,
)
from synth.layouts.common.scene import Scene
from tests.synth.editing.conftest import CAR, NEVER, ROAD, SIGN, SKY, C, chosen
from tests.synth.scenes import SIZE


def test_a_removed_class_is_unknown_and_its_ring_is_asked_for():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[0, 4:] = ROAD
    label[0, 3:5, 2:6] = CAR
    edit = remove_classes(label, chosen(1, CAR))
    assert torch.equal(edit.removed, label == CAR)
    scene = Scene(edit, (8, 8), keep="outside", z=torch.zeros(1, 1))
    assert torch.equal(scene.layout((8, 8))[0, :, 3, 2], torch.full((C,), 1 / C))
    assert torch.equal(scene.layout((8, 8))[0, :, 0, 0], onehot(label, C)[0, :, 0, 0])
    # 6 pixels above and 2 beside, as many below: half sky, half road, scaled to 8 of 64 pixels
    torch.testing.assert_close(edit.share[0], torch.tensor([4, 4, 0, 0, 0, 56]) / 64)
    assert not edit.growing.any()


def test_removed_classes_are_never_asked_for():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[0, 2:6, 2:6] = CAR
    label[0, 3:5, 3:5] = SIGN  # the ring of the sign alone would be car
    edit = remove_classes(label, chosen(1, CAR, SIGN))
    torch.testing.assert_close(edit.share[0], torch.tensor([16, 0, 0, 0, 0, 48]) / 64)


@pytest.mark.parametrize("classes", [(NEVER,), (SKY, ROAD, CAR, SIGN)])
def test_nothing_is_removed_where_there_is_nothing_or_nothing_else(real, classes):
    edit = remove_classes(real, chosen(len(real), *classes))
    assert not edit.removed.any()
    torch.testing.assert_close(edit.share[:, -1], torch.ones(len(real)))


def test_a_switch_asks_for_what_is_missing_and_takes_nothing_out(real):
    layout = onehot(real, C)
    share = layout.mean((2, 3))
    palette = torch.zeros_like(share)
    palette[:, CAR] = share[:, CAR] + 0.1
    palette[:, SIGN] = share[:, SIGN] + 0.0009  # a trace
    palette[:, SKY] = share[:, SKY] - 0.1
    edit = switch(real, palette)
    expected = torch.zeros(len(real), C + 1)
    expected[:, CAR], expected[:, -1] = 0.1, 0.9
    torch.testing.assert_close(edit.share, expected)
    assert torch.equal(edit.label, real) and not edit.removed.any()
    assert torch.equal(edit.growing, chosen(len(real), CAR))


def test_surroundings_fill_from_the_rim():
    label = torch.zeros(2, 6, 8, dtype=torch.long)
    label[0, :, 4:] = ROAD
    mask = torch.zeros(2, 6, 8, dtype=torch.bool)
    mask[0, 2:4, 1:7] = True
    mask[1] = True
    layout = onehot(label, C)
    filled = surroundings(layout, mask)
    torch.testing.assert_close(filled.sum(1), torch.ones(2, 6, 8))
    assert torch.equal(filled[0][:, ~mask[0]], layout[0][:, ~mask[0]])
    assert filled[0, SKY, 2, 2] == 1 and filled[0, ROAD, 3, 5] == 1
    assert torch.equal(filled[1], layout[1])


def test_novelty_is_the_share_of_what_is_painted_over_itself(real):
    layout = onehot(real, C)
    share = layout.mean((2, 3))
    edit = switch(real, chosen(len(real), CAR) * (share + 0.05))
    car = (real == CAR).float()
    over, beside = torch.zeros(2, len(real), C + 1, *SIZE)
    for soft, place in ((over, car), (beside, 1 - car)):
        soft[:, CAR] = place * 0.05 / place.mean((1, 2), keepdim=True)
        soft[:, -1] = 1 - soft[:, CAR]
    assert float(novelty(over, layout, edit)) == pytest.approx(1, abs=1e-4)
    assert float(novelty(beside, layout, edit)) == 0
    removal = remove_classes(real, chosen(len(real), CAR))
    assert float(novelty(over, layout, removal)) == 0
