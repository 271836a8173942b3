"""Critics: published parameter counts, shapes, and which items and pixels an answer depends on."""

import pytest
import torch

from synth.nets.critics import MultiScalePatchCritic, SegmentationCritic, halvings


def _count(net):
    return sum(p.numel() for p in net.parameters())


def test_published_parameter_counts():
    with torch.device("meta"):
        assert _count(SegmentationCritic(35, width=64, depth=6)) == 22_251_364
        patches = MultiScalePatchCritic(36 + 3, width=64, num_layers=4, num_scales=2)
        assert _count(patches) == 5_601_410


def test_patch_critic_shapes_of_the_paper():
    with torch.device("meta"):
        critic = MultiScalePatchCritic(39, width=64, num_layers=4, num_scales=2)
        scores, features = critic(torch.empty(1, 3, 128, 256), torch.empty(1, 36, 128, 256))
    shapes = [(64, 65, 129), (128, 33, 65), (256, 17, 33), (512, 18, 34)]
    assert [tuple(f.shape[1:]) for f in features[0]] == shapes
    assert tuple(scores[0].shape) == (1, 1, 19, 35)
    assert tuple(features[1][0].shape[1:]) == (64, 33, 65)


@pytest.mark.parametrize(
    ("size", "depth"), [((64, 128), 6), ((96, 128), 5), ((128, 256), 6), ((20, 40), 2), ((9, 4), 0)]
)
def test_depth_is_what_divides_both_sides(size, depth):
    assert halvings(size, 6) == depth


@pytest.mark.parametrize("size", [(32, 64), (48, 64), (24, 40)])
def test_segmentation_critic_answers_at_full_size(size):
    critic = SegmentationCritic(5, width=4, depth=halvings(size, 6))
    assert critic(torch.randn(2, 3, *size)).shape == (2, 6, *size)


def test_segmentation_critic_keeps_items_apart():
    """Real, fake and their mix share one pass; that is only right if items do not interact."""
    torch.manual_seed(0)
    critic = SegmentationCritic(5, width=4, depth=3).eval()
    images = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(critic(images)[1:2], critic(images[1:2]), rtol=1e-4, atol=1e-5)


def test_patch_critic_keeps_items_apart():
    torch.manual_seed(0)
    critic = MultiScalePatchCritic(3 + 4, width=4, num_layers=3, num_scales=2).eval()
    images, layouts = torch.randn(3, 3, 32, 32), torch.randn(3, 4, 32, 32)
    together, alone = critic(images, layouts)[0], critic(images[1:2], layouts[1:2])[0]
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:2], b, rtol=1e-3, atol=1e-6)


def test_segmentation_critic_sees_far_and_in_detail():
    """Every pixel's answer depends on the far corner (bottleneck) and on its own pixel (skips)."""
    torch.manual_seed(0)
    critic = SegmentationCritic(5, width=8, depth=4)
    image = torch.randn(1, 3, 16, 16, requires_grad=True)
    critic(image)[0, :, 0, 0].square().sum().backward()
    reach = image.grad.abs().sum((0, 1))
    assert reach[15, 15] > 0
    assert reach[0, 0] > reach[15, 15]
