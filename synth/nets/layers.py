"""Norms and blocks that two or more methods share: SPADE modulation and its residual block."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

# Xavier-normal gain of the SPADE family (SPADE, OASIS, as released).
INIT_GAIN = 0.02
SLOPE = 0.2


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    spectral: bool = False,
    bias: bool = True,
    stride: int = 1,
    padding: int | None = None,
    dilation: int = 1,
) -> nn.Conv2d:
    """Make a Xavier-initialised convolution, padded to keep the size unless told otherwise."""
    padding = dilation * (kernel // 2) if padding is None else padding
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=bias)
    nn.init.xavier_normal_(layer.weight, gain=INIT_GAIN)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    # Normalised after the initialisation: the power iteration starts from the final weights.
    if spectral:
        spectral_norm(layer)
    return layer


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Make a linear layer, initialised as `conv` is."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_normal_(layer.weight, gain=INIT_GAIN)
    nn.init.zeros_(layer.bias)
    return layer


def edges(layout: Tensor) -> Tensor:
    """Return where a pixel differs from one beside, above or below it, [B,1,H,W] in [0,1].

    Of a one-hot layout [B,C,H,W] these are the borders of connected components, two pixels thick as
    the instance borders of pix2pixHD are; of a soft one, how far two pixels disagree.
    """

    def differ(one: Tensor, other: Tensor) -> Tensor:
        return (one - other).abs().sum(1, keepdim=True) / 2

    across = differ(layout[..., 1:], layout[..., :-1])
    along = differ(layout[..., 1:, :], layout[..., :-1, :])
    sides = (
        F.pad(across, (1, 0)),
        F.pad(across, (0, 1)),
        F.pad(along, (0, 0, 1, 0)),
        F.pad(along, (0, 0, 0, 1)),
    )
    return torch.stack(sides).amax(0)


def filtered(x: Tensor, kernels: Tensor) -> Tensor:
    """Filter every channel of x [B,C,h,w] by a 3x3 kernel of its own at every pixel.

    `kernels` [B,9C,h,w] has the nine numbers of a channel side by side, rows first; outside the
    image x is 0 (CC-FPSE, eq. 2; SAFM's feature modulation).
    """
    height, width = x.shape[-2:]
    padded = F.pad(x, (1, 1, 1, 1))
    weights = kernels.unflatten(1, (x.shape[1], 9))
    # nine shifted products: `unfold` would hold all of them at once
    made = padded[..., :height, :width] * weights[:, :, 0]
    for place in range(1, 9):
        top, left = divmod(place, 3)
        part = padded[..., top : top + height, left : left + width]
        made = made + part * weights[:, :, place]
    return made


@torch.no_grad()
def set_gain(net: nn.Module, gain: float) -> None:
    """Turn the initial weights of a fresh network into those of another Xavier gain.

    The gain is a plain factor, on which the vectors of spectral norm do not depend.
    """
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.mul_(gain / INIT_GAIN)


def activate(x: Tensor) -> Tensor:
    """Apply the family's leaky ReLU (slope 0.2), any shape."""
    return F.leaky_relu(x, SLOPE)


class Condition:
    """A conditioning map [B,K,H,W] as the blocks see it: resized once per size, then remembered.

    By the nearest pixel, as in the papers, by the mean of an `area`, or between pixels.
    """

    def __init__(
        self, full: Tensor, resize: Literal["nearest", "area", "bilinear"] = "nearest"
    ) -> None:
        self._resize = resize
        # Autocast remembers converted weights, not inputs; every norm of a size would convert and
        # reorder the same map again.
        if torch.is_autocast_enabled(full.device.type):
            full = full.to(torch.get_autocast_dtype(full.device.type))
        self._full = full.contiguous(memory_format=torch.channels_last)
        self._maps = {tuple(full.shape[-2:]): self._full}

    def at(self, size: Sequence[int]) -> Tensor:
        """Return the map [B,K,h,w]."""
        size = (int(size[0]), int(size[1]))
        if size not in self._maps:
            self._maps[size] = F.interpolate(self._full, size=size, mode=self._resize)
        return self._maps[size]


class Spade(nn.Module):
    """Normalise, then scale and shift each pixel by convolutions on the layout (SPADE, eq. 1-2)."""

    def __init__(self, channels: int, condition_channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = conv(condition_channels, hidden, 3)
        self.gamma_beta = conv(hidden, 2 * channels, 3)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Modulate x [B,channels,h,w]."""
        hidden = F.relu(self.shared(condition.at(x.shape[-2:])))
        gamma, beta = self.gamma_beta(hidden).chunk(2, 1)
        return self.norm(x) * (1 + gamma) + beta


class ModulatedBlock(nn.Module):
    """Residual block that modulates, activates, then convolves; the learned skip is modulated too.

    `modulation(channels)` makes one modulation layer, called as layer(x, condition). Spectral norm
    sits on the block's own convolutions only, as released.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modulation: Callable[[int], nn.Module],
        *,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm0, self.norm1 = modulation(in_channels), modulation(middle)
        self.conv0 = conv(in_channels, middle, 3, spectral=True, dilation=dilation)
        self.conv1 = conv(middle, out_channels, 3, spectral=True, dilation=dilation)
        self.learned_skip = in_channels != out_channels
        if self.learned_skip:
            self.norm_skip = modulation(in_channels)
            self.conv_skip = conv(in_channels, out_channels, 1, spectral=True, bias=False)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Map x [B,in,h,w] to [B,out,h,w]."""
        skip = self.conv_skip(self.norm_skip(x, condition)) if self.learned_skip else x
        y = self.conv0(activate(self.norm0(x, condition)))
        return skip + self.conv1(activate(self.norm1(y, condition)))
