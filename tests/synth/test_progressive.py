"""Blocks of progressive growing against the paper's tables and closed forms."""

import pytest
import torch

from data.stage.errors import UserError
from synth.layouts.common.finish import finished, thin_lines
from synth.layouts.common.grids import Levels, channel_table, grids
from synth.layouts.common.grown import spans_of
from synth.layouts.common.losses import blur_line, critic_terms
from synth.layouts.common.progressive import Critic, pixel_norm
from synth.training.method import generator
from tests.synth.small import paper_steps


def test_steps_table_of_the_paper():
    assert paper_steps(2975) == [
        (4, 1740, 1740),
        (8, 2613, 6966),
        (16, 5229, 17424),
        (32, 13944, 45312),
        (64, 55780, 156872),
        (128, 55781, 268434),
        (256, 27890, 324214),
        (512, 55781, 435776),
        (1024, 111562, 658900),
    ]


def test_channel_table_of_the_paper():
    assert channel_table(512, 4, 9) == [512, 512, 512, 512, 256, 128, 64, 32, 16]


@pytest.mark.parametrize("cell", [1, 2])
@pytest.mark.parametrize("size", [(128, 256), (96, 128), (64, 64), (128, 32)])
def test_critic_gives_one_score_at_every_level(size, cell):
    found = tuple(grids(size))
    levels = Levels(found, tuple(channel_table(8, 2, len(found))), cell)
    critic = Critic(3, levels=levels)
    for level, layout in enumerate(levels.sizes):
        for alpha in (0.5, 1.0):
            assert critic(torch.rand(2, 3, *layout), level=level, alpha=alpha).shape == (2,)


def test_what_alternates_from_pixel_to_pixel_is_averaged_away_where_cells_have_several():
    comb = torch.zeros(1, 2, 8, 12)
    comb[:, 0, :, ::2], comb[:, 1, :, 1::2] = 1, 1
    assert finished(comb, (8, 12), 1) is comb
    made = finished(comb, (8, 12), 2)
    torch.testing.assert_close(made[..., 1:-1], torch.full((1, 2, 8, 10), 0.5))
    edge = torch.zeros(1, 2, 8, 12)
    edge[:, 0, :4], edge[:, 1, 4:] = 1, 1
    assert torch.equal(finished(edge, (8, 12), 2).argmax(1), edge.argmax(1))
    soft = finished(torch.randn(2, 3, 4, 6).softmax(1), (8, 12), 2)
    torch.testing.assert_close(soft.sum(1), torch.ones(2, 8, 12))


@pytest.mark.parametrize("level", [False, True])
def test_thin_lines_stay_and_teeth_do_not(level):
    label = torch.zeros(1, 16, 20, dtype=torch.long)
    label[:, 2:6, 3] = 1  # a pole of four pixels
    label[:, 2:5, 7] = 1  # three are too few
    label[:, 2:8, 10:12] = 1  # two wide
    label[:, 10:, :] = 2
    label[:, 8:10, 1:20:2] = 2  # teeth
    label[:, 11:15, 17] = 3  # a pole at another height
    there = torch.zeros_like(label, dtype=torch.bool)
    there[:, 2:6, 3], there[:, 11:15, 17] = True, True
    if level:
        label, there = label.transpose(1, 2).contiguous(), there.transpose(1, 2)
    assert torch.equal(thin_lines(label), there)
    soft = torch.nn.functional.one_hot(label, 4).movedim(-1, 1).float()
    made = finished(soft, tuple(label.shape[1:]), 2)
    assert torch.equal(made.argmax(1)[there], label[there])
    assert not thin_lines(label[:, :3, :3]).any(), "smaller than a line"


def test_grids_halve_to_a_base_and_refuse_other_sizes():
    assert grids((64, 128)) == [(4, 8), (8, 16), (16, 32), (32, 64), (64, 128)]
    assert grids((96, 128))[0] == (3, 4) and len(grids((96, 128))) == 6
    with pytest.raises(UserError, match=r"100x100.*96x96"):
        grids((100, 100))
    for size in ((90, 130), (1, 1), (33, 64)):
        with pytest.raises(UserError) as error:
            grids(size)
        for good in str(error.value).rsplit(": ", 1)[1].split(", "):
            height, width = map(int, good.split("x"))
            assert grids((height, width))


def test_schedule_lists_fade_then_stable():
    spans = spans_of([(9, 16, 8), (8, 4, 4)], 3)
    assert [(s.num_images, s.level, s.fade) for s in spans] == [
        (16, 0, False),
        (8, 1, True),
        (4, 1, False),
    ]
    with pytest.raises(UserError, match="3 levels"):
        spans_of([(0, 16, 8)] * 4, 3)
    with pytest.raises(UserError, match="no stable images"):
        spans_of([(0, 16, 8), (4, 0, 8)], 3)


def test_pixel_norms():
    x = torch.randn(2, 6, 3, 3) * 5
    torch.testing.assert_close(pixel_norm(x, "rms").square().mean(1), torch.ones(2, 3, 3))
    torch.testing.assert_close(pixel_norm(x, "msq"), x / (x.square().mean(1, keepdim=True) + 1e-8))


def test_blur_kernels():
    sizes = {4: 3, 8: 5, 256: 5, 512: 7, 1024: 11}
    assert {h: len(blur_line(h, kind="symmetric")) for h in sizes} == sizes
    torch.testing.assert_close(
        blur_line(64, kind="symmetric"), blur_line(64, kind="symmetric").flip(0)
    )
    released = blur_line(4, kind="released")
    kernel = torch.outer(released, released)
    assert kernel.argmax() == 8 and float(kernel[2, 2]) == pytest.approx(0.52, abs=0.001)


def test_critic_loss_closed_form():
    real, fake = torch.rand(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    slope = torch.full((2, 4, 4), 2.0)  # norm of the gradient: 2 sqrt(32)
    terms = critic_terms(
        lambda layout: (layout * slope).flatten(1).sum(1),
        real,
        fake,
        weight=10.0,
        rng=generator(0),
    )
    gap = 2 * (fake.flatten(1).sum(1).mean() - real.flatten(1).sum(1).mean())
    torch.testing.assert_close(terms["wasserstein"], gap)
    assert float(terms["penalty"]) == pytest.approx(10 * (2 * 32**0.5 - 1) ** 2, rel=1e-5)
