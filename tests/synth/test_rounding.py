"""Rounding soft layouts: the released argmax, and label maps that meet their palette."""

import pytest
import torch

from synth.layouts.common.rounding import balanced, round_layout


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
    assert round_layout(soft, share, "argmax").sum() == 0


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


@pytest.mark.parametrize("rounding", ["balanced", "argmax"])
def test_soft_layouts_in_bfloat16_are_fine(rounding):
    soft, share = random_layouts()
    assert round_layout(soft.bfloat16(), share, rounding).shape == (4, 16, 32)
