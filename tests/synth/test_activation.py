"""Identities of the semantically-assisted activation and of the losses that hold it to its palette.

Written against sections 2.4, 3.3 and 3.4 of the method, not against the code.
"""

import math

import numpy as np
import pytest
import torch

from data.pairs.batches import onehot
from data.pairs.pair import palette_of
from synth.layouts.common.activation import (
    Activation,
    assisted,
    assisted_present,
    without_traces,
)
from synth.layouts.common.losses import blur_line, entropy, over_scales, soften, spread
from synth.layouts.common.masks import band_of, remove
from synth.layouts.common.scene import Scene


@pytest.fixture
def palettes():
    return torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(5), 3)).float()


@pytest.fixture
def logits():
    return torch.randn(3, 5, 8, 16, generator=torch.Generator().manual_seed(0)) * 3


def test_densities_hold_the_palette_for_any_logits(logits, palettes):
    made = assisted(logits, palettes)
    torch.testing.assert_close(made.mask.mean((2, 3)), palettes)
    torch.testing.assert_close(made.mask.sum(1).mean((1, 2)), torch.ones(3))
    torch.testing.assert_close(made.soft.sum(1), torch.ones(3, 8, 16))
    assert (made.soft > 0).all()


def test_constant_logits_give_the_palette_everywhere(palettes):
    made = assisted(torch.full((3, 5, 4, 8), 2.5), palettes)
    expected = palettes[:, :, None, None].expand(-1, -1, 4, 8)
    torch.testing.assert_close(made.soft, expected, atol=1e-5, rtol=0)
    assert spread(made.mask) < 1e-10


def test_no_spread_means_the_palette_is_met():
    label = torch.from_numpy(np.random.default_rng(1).integers(0, 5, (2, 8, 16)))
    share = torch.from_numpy(palette_of(label.numpy(), 5))
    made = assisted(onehot(label, 5) * 60, share)
    assert spread(made.mask) < 1e-8
    torch.testing.assert_close(made.soft.mean((2, 3)), share, atol=1e-4, rtol=0)
    # the layout is hard, its argmax is the label and its palette the target
    assert entropy(made.soft) < 1e-3
    hard = palette_of(made.soft.argmax(1).numpy(), 5)
    kl = (share * (share / torch.from_numpy(hard + 1e-6)).log()).sum(1)
    assert kl.abs().max() < 1e-4


def test_random_logits_only_approximate_the_palette(logits, palettes):
    made = assisted(logits, palettes)
    assert spread(made.mask) > 0.1
    assert (made.soft.mean((2, 3)) - palettes).abs().max() > 0.01


def test_steps_bring_any_logits_to_their_palette(logits, palettes):
    palettes[0, 1] = 0
    palettes[0] /= palettes[0].sum()
    made = [assisted(logits, palettes, steps) for steps in (0, 2, 16)]
    away = [float((it.soft.mean((2, 3)) - palettes).abs().max()) for it in made]
    assert away[0] > 0.15 > 0.1 > away[1] > 0.01 > 1e-3 > away[2]
    assert spread(made[2].mask) < 1e-3 < spread(made[1].mask) < spread(made[0].mask)
    for it in made:
        torch.testing.assert_close(it.mask.mean((2, 3)), palettes)
    assert float(made[2].soft[0, 1].max()) < 1e-4


def test_the_order_in_memory_changes_neither_values_nor_itself(logits, palettes):
    """Networks are channels-last; what turns back and forth costs as much as a convolution."""
    turned = logits.contiguous(memory_format=torch.channels_last)
    line = blur_line(logits.shape[2], kind="symmetric")
    pairs = [
        (assisted(x, palettes).soft, assisted_present(x, palettes).soft) for x in (logits, turned)
    ]
    pairs = [(*made, soften(made[0].detach(), line=line)) for made in pairs]
    for plain, its in zip(*pairs, strict=True):
        torch.testing.assert_close(its, plain)
        assert plain.is_contiguous() and not its.is_contiguous()
        assert its.is_contiguous(memory_format=torch.channels_last)


def test_absent_classes_are_exactly_zero_and_the_palette_is_left_alone(logits):
    share = torch.tensor([[0.5, 0.3, 0.0015, 0.0, 0.1985]]).expand(3, -1).contiguous()
    before = share.clone()
    made = assisted_present(logits, share)
    assert (made.soft[:, 2:4] == 0).all() and (made.mask[:, 2:4] == 0).all()
    assert (made.soft[:, [0, 1, 4]] > 0).all()
    torch.testing.assert_close(made.soft.sum(1), torch.ones(3, 8, 16))
    torch.testing.assert_close(share, before, atol=0, rtol=0)


def test_activation_is_float32_under_autocast(logits, palettes):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = assisted(logits.bfloat16(), palettes)
    assert made.soft.dtype == made.mask.dtype == torch.float32
    torch.testing.assert_close(made.mask.mean((2, 3)), palettes)


def test_blend_is_linear_in_every_entry(logits, palettes):
    coarse, fine = assisted(logits, palettes), assisted(logits.flip(0), palettes)
    half = fine.blend(coarse, 0.25)
    torch.testing.assert_close(half.soft, 0.75 * coarse.soft + 0.25 * fine.soft)
    torch.testing.assert_close(half.mask, 0.75 * coarse.mask + 0.25 * fine.mask)
    torch.testing.assert_close(half.soft.sum(1), torch.ones(3, 8, 16))


def test_terms_of_scales_are_summed():
    masks = [torch.full((1, 4, 2**n, 2**n), 0.5) for n in (1, 2, 3)]  # each misses 1 by 1
    scales = [Activation(mask, mask) for mask in masks]
    assert float(over_scales(scales, lambda s: spread(s.mask))) == 3


def test_entropy_and_spread_closed_forms():
    uniform = torch.full((2, 4, 3, 3), 0.25)
    assert float(entropy(uniform)) == pytest.approx(math.log(4), abs=1e-3)
    assert float(spread(uniform * 3)) == pytest.approx(4)


def test_traces_are_dropped_and_the_rest_renormalised():
    share = torch.tensor([[0.4, 0.595, 0.005]])
    torch.testing.assert_close(without_traces(share, 128), torch.tensor([[0.4, 0.595, 0]]) / 0.995)


def test_band_targets_and_keep_share_sum_to_one():
    label = torch.from_numpy(np.random.default_rng(2).integers(0, 5, (64, 8, 16)))
    places = torch.rand(64, 2, generator=torch.Generator().manual_seed(1))
    places[0], places[1] = torch.tensor([0.999999, 0.5]), torch.tensor([0.0, 0.999999])
    band = band_of(places, (8, 16), (0.5, 1.0))
    edit = remove(label, band, 5)
    torch.testing.assert_close(edit.share.sum(1), torch.ones(64))
    widths = band[:, 0].sum(1)
    assert widths.min() == 8 and widths.max() == 16 and bool(band[0].all())
    assert bool(band[1, :, 8:].all()) and not bool(band[1, :, :8].any())
    assert bool((band == band[:, :1]).all())  # full height
    edges = (band[:, 0, 1:] != band[:, 0, :-1]).sum(1)
    assert int(edges.max()) <= 2  # one piece
    torch.testing.assert_close(edit.share[:, -1], 1 - widths / 16)
    for item in (1, 7, 40):
        removed = label[item][band[item]]
        counts = torch.bincount(removed, minlength=5) / 128
        torch.testing.assert_close(edit.share[item, :-1], counts)


def test_merge_returns_what_is_kept():
    label = torch.from_numpy(np.random.default_rng(3).integers(0, 5, (4, 8, 16)))
    layout = onehot(label, 5)
    edit = remove(label, band_of(torch.rand(4, 2), (8, 16), (0.5, 1.0)), 5)
    raw = torch.rand(4, 6, 8, 16).softmax(1)
    keep = torch.zeros(4, 6, 8, 16)
    keep[:, -1] = 1
    raw = torch.where(edit.removed[:, None], raw, keep)
    scene = Scene(edit, (8, 16), keep="learnt", z=torch.zeros(4, 1))
    merged = scene.merge(raw)
    torch.testing.assert_close(merged.sum(1), torch.ones(4, 8, 16))
    outside = ~edit.removed[:, None].expand_as(layout)
    torch.testing.assert_close(merged[outside], layout[outside], atol=0, rtol=0)
    inside = merged[:, 2][edit.removed]
    torch.testing.assert_close(inside, (raw[:, 2] + raw[:, 5] / 5)[edit.removed])
