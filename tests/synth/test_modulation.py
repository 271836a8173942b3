"""The fused modulation computes what PyTorch's own steps do, backwards too."""

import pytest
import torch
import torch.nn.functional as F

from synth.nets.modulation import modulate


def plain(x, scale, shift):
    return F.leaky_relu(F.instance_norm(x) * scale + shift, 0.2)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_modulation_and_its_gradients_are_those_of_the_plain_steps(memory):
    rng = torch.Generator().manual_seed(0)
    given = [
        (3 + torch.randn(2, 5, 6, 8, generator=rng)).contiguous(memory_format=memory)
        for _ in range(3)
    ]
    toward = torch.randn(2, 5, 6, 8, generator=rng)
    found = []
    for way in (modulate, plain):
        leaves = [each.clone().requires_grad_() for each in given]
        made = way(*leaves)
        made.backward(toward)
        found.append([made.detach(), *(leaf.grad for leaf in leaves)])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_modulation_keeps_the_type_of_its_scale():
    x = torch.randn(2, 5, 6, 8, requires_grad=True)
    scale = torch.randn(2, 5, 6, 8).bfloat16()
    made = modulate(x, scale, scale)
    made.float().sum().backward()
    assert made.dtype == torch.bfloat16 and x.grad.dtype == torch.float32
    torch.testing.assert_close(made.float(), plain(x, scale, scale), rtol=0.05, atol=0.05)
