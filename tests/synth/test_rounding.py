"""Rounding soft layouts: the released argmax, and label maps that meet their palette."""

import pytest
import torch
from pydantic import ValidationError

from data.pairs.components import components
from synth.layouts.common.rounding import (
    Rounding,
    balanced,
    gathered,
    round_holes,
    round_layout,
    without_specks,
)
from tests.synth import small

ARGMAX = Rounding(**small.ARGMAX)
CLEAN = Rounding(kind="balanced", smallest=6)


def random_layouts(batch=4, classes=6, size=(16, 32), seed=0):
    rng = torch.Generator().manual_seed(seed)
    soft = torch.randn(batch, classes, *size, generator=rng).mul(2).softmax(1)
    share = torch.rand(batch, classes, generator=rng).pow(3)
    return soft, share / share.sum(1, keepdim=True)


def shares_of(label, classes=6):
    return torch.stack([(label == c).float().mean((1, 2)) for c in range(classes)], 1)


def test_balanced_layouts_meet_their_palette_within_a_few_pixels():
    soft, share = random_layouts()
    missed = (shares_of(balanced(soft, share)) - share).abs().max() * 16 * 32
    assert missed <= 6
    assert (shares_of(soft.argmax(1)) - share).abs().max() * 16 * 32 > 50


def test_decided_layouts_meet_another_palette_too():
    # as a trained generator makes them: regions that are sure of their class
    rng = torch.Generator().manual_seed(3)
    coarse = torch.randn(6, 12, 6, 8, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, (96, 128), mode="bilinear")
    share = torch.rand(6, 12, generator=rng).pow(3)
    share = share / share.sum(1, keepdim=True)
    label = balanced((12 * smooth).softmax(1), share)
    missed = (shares_of(label, 12) - share).abs().sum(1) / 2
    assert missed.max() < 0.01


def test_a_layout_that_has_its_palette_already_is_kept():
    label = torch.randint(0, 6, (2, 16, 32), generator=torch.Generator().manual_seed(1))
    soft = torch.nn.functional.one_hot(label, 6).permute(0, 3, 1, 2).float() * 0.9 + 0.1 / 6
    assert torch.equal(balanced(soft, shares_of(label)), label)


def test_a_rare_class_gets_its_most_likely_pixels():
    soft = torch.full((1, 2, 4, 8), 0.1)
    soft[:, 0] = 0.9
    soft[0, :, 1, 3] = torch.tensor([0.6, 0.4])
    share = torch.tensor([[31 / 32, 1 / 32]])
    label = balanced(soft, share)
    assert label.sum() == 1 and label[0, 1, 3] == 1
    assert round_layout(soft, share, ARGMAX).sum() == 0


def test_classes_without_a_share_never_appear():
    soft, share = random_layouts()
    share[:, 2] = 0.5 / (16 * 32)
    assert not (balanced(soft, share / share.sum(1, keepdim=True)) == 2).any()


def test_a_layout_is_rounded_on_its_own():
    soft, share = random_layouts()
    together = balanced(soft, share)
    for index in range(len(soft)):
        alone = balanced(soft[index : index + 1], share[index : index + 1])
        assert (alone[0] != together[index]).float().mean() < 0.005


@pytest.mark.parametrize("rounding", [Rounding(**small.BALANCED), ARGMAX, CLEAN])
def test_soft_layouts_in_bfloat16_are_fine(rounding):
    soft, share = random_layouts()
    assert round_layout(soft.bfloat16(), share, rounding).shape == (4, 16, 32)


def count_below(label, size):
    """Count the components of fewer pixels than `size`."""
    count = 0
    for item in label.numpy():
        numbered, _ = components(item, 6, corners=True)
        sizes = torch.bincount(torch.from_numpy(numbered).flatten())[1:]
        count += int((sizes < size).sum())
    return count


def test_specks_become_their_neighbours():
    label = torch.zeros(1, 10, 12, dtype=torch.int64)
    label[:, 5:] = 1
    label[0, 2, 3:5] = 2  # two pixels in the sky
    label[0, 7, 2], label[0, 8, 3], label[0, 9, 4] = 3, 3, 3  # a slanted line of three
    assert torch.equal(without_specks(label, 2), label)
    cleaned = without_specks(label, 3)
    assert cleaned[0, 2, 3:5].tolist() == [0, 0] and int((cleaned == 3).sum()) == 3
    assert int((without_specks(label, 4) > 1).sum()) == 0


def test_random_layouts_lose_their_specks_and_keep_their_palette_nearly():
    rng = torch.Generator().manual_seed(3)
    coarse = torch.randn(4, 6, 6, 8, generator=rng)
    soft = torch.nn.functional.interpolate(coarse, (48, 64), mode="bilinear")
    soft = (soft * 4 + torch.randn(soft.shape, generator=rng)).softmax(1)
    share = torch.rand(4, 6, generator=rng).add(0.1)
    share = share / share.sum(1, keepdim=True)
    before = round_layout(soft, share, Rounding(**small.BALANCED))
    after = round_layout(soft, share, CLEAN)
    assert count_below(before, 6) > 100 and count_below(after, 6) == 0
    ratio = (share / (shares_of(after) + 1e-6)).log()
    assert float((share * ratio).sum(1).max()) < 0.05


def test_a_class_that_is_likely_nowhere_is_kept_in_one_piece_where_it_is_likeliest():
    """Twelve pixels of a class are asked for that one pixel in eight prefers a little: specks."""
    rng = torch.Generator().manual_seed(4)
    logits = torch.zeros(1, 3, 32, 48)
    logits[:, 0, :16] = logits[:, 1, 16:] = 4
    logits[:, 2] = torch.rand(32, 48, generator=rng) * 3 - 2
    logits[:, 2, 18:30, 26:40] += 0.5
    soft, share = logits.softmax(1), torch.tensor([[0.5, 0.5 - 12 / 1536, 12 / 1536]])
    specks = without_specks(balanced(soft, share), 6)
    assert not (specks == 2).any()
    made = round_layout(soft, share, CLEAN)
    rows, columns = (made[0] == 2).nonzero(as_tuple=True)
    assert 10 <= len(rows) <= 14 and count_below(made, 6) == 0
    assert rows.min() >= 16 and rows.max() < 32 and columns.min() >= 24 and columns.max() < 42
    torch.testing.assert_close(shares_of(made, 3), share, atol=2 / 1536, rtol=0)


def test_a_class_of_less_than_a_pixel_stays_out_and_no_piece_takes_from_another():
    rng = torch.Generator().manual_seed(6)
    soft = torch.randn(1, 6, 24, 32, generator=rng).softmax(1)
    few = torch.tensor([0.6, 12, 8, 7, 6]) / 768
    share = torch.cat([1 - few.sum()[None], few])[None]
    label = torch.zeros(1, 24, 32, dtype=torch.int64)
    soft[:, 1:, 10:14, 10:14] += 4  # all of them are likeliest in one place
    made = gathered(label, soft / soft.sum(1, keepdim=True), share, 6)
    assert made.flatten().bincount(minlength=6)[1:].tolist() == [0, 12, 8, 7, 6]


def test_pieces_stay_in_their_hole_and_take_no_more_than_there_is():
    soft, share = random_layouts(batch=1)
    label = torch.zeros(1, 16, 32, dtype=torch.int64)
    hole = torch.zeros_like(label, dtype=torch.bool)
    hole[:, 4:7, 8:11] = True
    made = gathered(label, soft, share, 6, hole)
    assert torch.equal(made[~hole], label[~hole]) and (made[hole] > 0).any()
    assert torch.equal(gathered(label, soft, share, 6, torch.zeros_like(hole)), label)


def test_a_speck_that_goes_on_beyond_the_hole_is_none():
    label = torch.zeros(1, 8, 8, dtype=torch.int64)
    label[0, 3, 2:6] = 1  # four pixels, two of them in the hole
    label[0, 6, 6] = 2  # one in the hole
    label[0, 0, 0] = 3  # one outside
    hole = torch.zeros_like(label, dtype=torch.bool)
    hole[:, :, 4:] = True
    cleaned = without_specks(label, 6, hole)
    assert torch.equal(cleaned == 1, label == 1) and cleaned[0, 0, 0] == 3
    assert not (cleaned == 2).any()


@pytest.mark.parametrize("rounding", [Rounding(**small.BALANCED), ARGMAX, CLEAN])
def test_holes_are_filled_with_what_is_asked_for_and_nothing_else(rounding):
    soft, share = random_layouts()
    share[:, 1] = 0
    label = torch.full((4, 16, 32), 1)
    holes = torch.zeros_like(label, dtype=torch.bool)
    holes[:, 2:12, 5:25] = True
    holes[3] = False
    holes[3, 4, 4:6] = True  # smaller than there are classes
    made = round_holes(soft, share, label, holes, rounding)
    assert torch.equal(made[~holes], label[~holes])
    assert not (made[holes] == 1).any()
    if rounding == Rounding(**small.BALANCED):
        wanted = share[:3] / share[:3].sum(1, keepdim=True)
        inside = torch.stack([made[i][holes[i]].bincount(minlength=6) / 200 for i in range(3)])
        torch.testing.assert_close(inside, wanted, atol=0.03, rtol=0)


@pytest.mark.parametrize("wrong", [{"smoothing": 3}, {"smallest": -1}, {"kind": "best"}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValidationError):
        Rounding(**small.BALANCED | wrong)
