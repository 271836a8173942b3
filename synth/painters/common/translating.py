"""Encoder, residual blocks and decoder in Johnson et al.'s notation, as pix2pixHD has them.

Convolutions that reflect at the border, instance norms without parameters, ReLU.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


def reflecting(in_channels: int, out_channels: int, kernel: int, *, dilation: int = 1) -> nn.Conv2d:
    """Make a convolution that keeps the size."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        padding=padding,
        dilation=dilation,
        padding_mode="reflect",
    )


def normed(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """Add an instance norm and ReLU to a layer."""
    return nn.Sequential(layer, nn.InstanceNorm2d(layer.out_channels), nn.ReLU())


def halving(in_channels: int, out_channels: int) -> nn.Module:
    """Make a layer that halves both sides."""
    return normed(nn.Conv2d(in_channels, out_channels, 3, 2, 1))


def doubling(in_channels: int, out_channels: int) -> nn.Module:
    """Make a layer that doubles both sides."""
    return normed(nn.ConvTranspose2d(in_channels, out_channels, 3, 2, 1, output_padding=1))


class ResidualBlock(nn.Module):
    """Add two normalised convolutions; only the first is activated, and nothing after the sum."""

    def __init__(self, channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            normed(reflecting(channels, channels, 3, dilation=dilation)),
            reflecting(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B,channels,h,w] to its own shape."""
        return x + self.inner(x)


class Translator(nn.Module):
    """Encode a map, transform it at the base grid, decode it (pix2pixHD's global generator).

    c7s1-w, d2w, d4w, ..., residual blocks, ..., u2w, uw, c7s1-n: channels double with every
    halving, from `width`. The base grid is size / 2 ** num_doublings, at least 2x2 because its
    convolutions reflect.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        num_doublings: int,
        num_blocks: int,
    ) -> None:
        super().__init__()
        grids = list(pairwise(width * 2**level for level in range(num_doublings + 1)))
        layers = [normed(reflecting(in_channels, width, 7))]
        layers += [halving(fine, coarse) for fine, coarse in grids]
        layers += [ResidualBlock(width * 2**num_doublings) for _ in range(num_blocks)]
        layers += [doubling(coarse, fine) for fine, coarse in reversed(grids)]
        self.body = nn.Sequential(*layers)
        self.rgb = reflecting(width, out_channels, 7)

    def forward(self, x: Tensor, *, inner: bool = False) -> Tensor:
        """Map x [B,in,H,W] to [B,out,H,W] in [-1,1], float32; `inner` gives the last features."""
        features = self.body(x)
        return features if inner else torch.tanh(self.rgb(features).float())


def initialise(net: nn.Module, std: float) -> None:
    """Draw the weights of every convolution from N(0, std) and set biases to 0.

    The released code leaves biases at PyTorch's draw; nearly all of them stand before a norm that
    removes them.
    """
    for parameter in net.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0.0, std)
        else:
            nn.init.zeros_(parameter)
