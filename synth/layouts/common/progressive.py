"""Building blocks of the progressive layout generators and their critic.

Layouts grow from a base grid of 3 to 7 rows by doubling; every scale has its own soft layout, which
`joint` feeds back into the features of the next one. The tables are those of the released code,
whose quirks (`pixel_norm: msq`, `joint: halved`) are switches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synth.layouts.common.activation import Activation
from synth.layouts.common.grids import Levels
from synth.layouts.common.scene import Scene

SLOPE = 0.2

PixelNormKind = Literal["rms", "msq"]
JointKind = Literal["bias", "linear", "affine", "halved"]
Activate = Callable[[Tensor, Tensor], Activation]


def pixel_norm(x: Tensor, kind: PixelNormKind) -> Tensor:
    """Divide the features `[B, C, ...]` of each position by their root mean square.

    `msq` divides by the mean square without the root, as the released code (not ProGAN).
    """
    mean_square = x.square().mean(1, keepdim=True) + 1e-8
    return x * (mean_square.rsqrt() if kind == "rms" else mean_square.reciprocal())


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate: N(0, 1) weights scaled by gain / sqrt(fan in)."""

    def __init__(self, inputs: int, outputs: int, gain: float = 2**0.5) -> None:
        """Draw the weights; the bias is 0 and not scaled."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / inputs**0.5

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs]` -> `[B, outputs]`."""
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualConv(nn.Module):
    """Convolution with equalised learning rate; an odd kernel keeps the size unless `padding`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 3,
        gain: float = 2**0.5,
        stride: tuple[int, int] = (1, 1),
        padding: int | None = None,
    ) -> None:
        """Draw the weights; the bias is 0 and not scaled."""
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.weight = nn.Parameter(torch.randn(outputs, inputs, height, width))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / (inputs * height * width) ** 0.5
        self.stride, self.padding = stride, height // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, h, w]` -> `[B, outputs, h', w']`."""
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


class Joint(nn.Module):
    """Feed the soft layout of a scale back into its features.

    features <- gate * features + LReLU(b), with v = conv3x3(layout): `bias` has gate 1 and b = v,
    `linear` gate sigmoid(v) and b = 0, `affine` both from halves of v; `halved` is `bias` with the
    gate sigmoid(0) = 0.5, as released.
    """

    def __init__(self, num_masks: int, channels: int, kind: JointKind) -> None:
        """Build the one convolution."""
        super().__init__()
        self.kind = kind
        self.conv = EqualConv(num_masks, channels * (2 if kind == "affine" else 1), gain=1)

    def forward(self, x: Tensor, soft: Tensor) -> Tensor:
        """Features `[B, F, h, w]` and layout `[B, C, h, w]` -> features."""
        v = self.conv(soft)
        if self.kind == "linear":
            return torch.sigmoid(v) * x
        if self.kind == "affine":
            gate, bias = v.chunk(2, dim=1)
            return torch.sigmoid(gate) * x + F.leaky_relu(bias, SLOPE)
        return (0.5 if self.kind == "halved" else 1.0) * x + F.leaky_relu(v, SLOPE)


class ConvBlock(nn.Module):
    """conv3x3, LReLU, pixel norm; once at the base grid (`inputs` None), twice above it."""

    def __init__(self, inputs: int | None, outputs: int, norm: PixelNormKind) -> None:
        """Build the convolutions."""
        super().__init__()
        first = [] if inputs is None else [EqualConv(inputs, outputs)]
        self.convs = nn.ModuleList([*first, EqualConv(outputs, outputs)])
        self.norm: PixelNormKind = norm

    def forward(self, x: Tensor, scene: Scene | None) -> Tensor:
        """Features `[B, inputs, h, w]` -> `[B, outputs, h, w]`; `scene` is not looked at."""
        for conv in self.convs:
            x = pixel_norm(F.leaky_relu(conv(x), SLOPE), self.norm)
        return x


@dataclass(frozen=True)
class Stem:
    """How features begin: from `inputs` numbers, noise and palette, to the coarsest grid.

    `normalised` passes them through LReLU and pixel norm, whose kind is `norm`.
    """

    inputs: int
    norm: PixelNormKind
    normalised: bool


class Generator(nn.Module):
    """Progressive layout generator: a vector in, one activated layout per scale out.

    `blocks[i]` maps features (already at the grid of level i) and the scene to those that `levels`
    says. `num_masks` is C, or C + 1 where a channel keeps what is there. `joint`
    None feeds nothing back (`plain` layouts, as released).
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        *,
        levels: Levels,
        stem: Stem,
        num_masks: int,
        activate: Activate,
        joint: JointKind | None,
        mask_gain: float,
        num_fed: int | None = None,
    ) -> None:
        """Build stem, heads and joints; the last level needs no joint.

        Where `levels.skip`, a head adds to the logits of the level before, at first nothing: a new
        level begins with what the coarser one has learnt, as sure of its classes. Joints see
        `num_fed` classes, as many as there are masks unless a layout is merged first. `mask_gain`
        multiplies the learning rate of the heads' weights without changing the logits at the
        start: a small class fills its pixels only with logits far apart, which heads that move by
        one learning rate per step reach after thousands of steps.
        """
        super().__init__()
        self.base, self.cell, self.skip = levels.grids[0], levels.cell, levels.skip
        self.activate = activate
        self.norm: PixelNormKind = stem.norm
        self.normalised_stem = stem.normalised
        channels, cells = levels.channels, self.base[0] * self.base[1]
        self.stem = EqualLinear(stem.inputs, channels[0] * cells, gain=2**0.5 / 4)
        self.blocks = nn.ModuleList(blocks)
        planes = levels.cell**2  # of a class: one for each pixel of a cell
        heads = [EqualConv(c, num_masks * planes, 1, gain=mask_gain) for c in channels]
        for number, head in enumerate(heads):
            head.weight.data *= 0.0 if number and levels.skip else 1 / mask_gain
        self.to_mask = nn.ModuleList(heads)
        self.joints = nn.ModuleList()
        if joint is not None:
            fed = (num_fed or num_masks) * planes
            self.joints.extend(Joint(fed, c, joint) for c in channels[:-1])

    def forward(
        self,
        z: Tensor,
        share: Tensor,
        *,
        level: int,
        alpha: float = 1.0,
        scene: Scene | None = None,
    ) -> list[Activation]:
        """Return the scales 0..level for `z` `[B, latent]` and palettes `[B, n]`.

        `alpha` < 1 fades the last scale in over the one before, seen at twice its size. `scene` is
        what is there already, for a generator that fills in: blocks look at it, it says where
        classes have room, and what is fed back is merged with it.
        """
        activate = self.activate if scene is None else scene.activate
        x = self.stem(pixel_norm(torch.cat([z, share], 1), self.norm))
        features = x.view(len(z), -1, *self.base)
        if self.normalised_stem:
            features = pixel_norm(F.leaky_relu(features, SLOPE), self.norm)
        scales: list[Activation] = []
        logits = coarse = features  # of the scale before
        for number, block in enumerate(self.blocks[: level + 1]):
            if number:
                coarse = self._enlarged(logits)
                if self.joints:
                    soft = scales[-1].soft
                    soft = soft if scene is None else scene.merge(soft)
                    features = self.joints[number - 1](features, packed(soft, self.cell))
                features = upsample(features)
            features = block(features, scene)
            logits = self._logits(number, features)
            if number and self.skip:
                logits = coarse.float() + logits  # in bfloat16 sums of large logits lose theirs
            scale = activate(logits, share)
            if number == level and number and alpha < 1:
                scale = scale.blend(activate(coarse, share), alpha)
            scales.append(scale)
        return scales

    def _enlarged(self, logits: Tensor) -> Tensor:
        """Double the sides of the logits of a level; what is added to begins without steps."""
        if not self.skip:
            return upsample(logits)
        return F.interpolate(logits, scale_factor=2, mode="bilinear")

    def _logits(self, number: int, features: Tensor) -> Tensor:
        return unpacked(self.to_mask[number](features), self.cell)


class Critic(nn.Module):
    """Unconditional progressive critic: soft layouts `[B, C, h, w]` of any level -> `[B]`.

    Its last kernel follows the base grid: a strided convolution makes the grid square, a valid one
    as large as what is left makes it 1x1.
    """

    def __init__(self, num_planes: int, *, levels: Levels) -> None:
        """Build the blocks of all levels; the index counts from the base grid."""
        super().__init__()
        base, channels, self.cell = levels.grids[0], levels.channels, levels.cell
        planes = num_planes * levels.cell**2
        self.from_mask = nn.ModuleList([EqualConv(planes, c, 1, gain=1) for c in channels])
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualConv(wide, wide), EqualConv(wide, narrow)])
            for narrow, wide in pairwise(channels)
        )
        stride = (max(1, round(base[0] / base[1])), max(1, round(base[1] / base[0])))
        left = (-(-base[0] // stride[0]), -(-base[1] // stride[1]))
        self.squeeze = EqualConv(channels[0], channels[0], 3, stride=stride)
        self.whole = EqualConv(channels[0], channels[0], left, padding=0)
        self.score = EqualLinear(channels[0], 1)

    def forward(self, soft: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        """Score layouts at the grid of `level`; `alpha` < 1 fades the level in."""
        x = self._seen(level, soft)
        for number in range(level, 0, -1):
            for conv in self.blocks[number - 1].children():
                x = F.leaky_relu(conv(x), SLOPE)
            x = F.avg_pool2d(x, 2)
            if number == level and alpha < 1:
                coarse = self._seen(level - 1, F.avg_pool2d(soft, 2))
                x = torch.lerp(coarse.to(x.dtype), x, alpha)
        x = F.leaky_relu(self.squeeze(x), SLOPE)
        x = F.leaky_relu(self.whole(x), SLOPE)
        return self.score(x.flatten(1)).squeeze(1)

    def _seen(self, level: int, soft: Tensor) -> Tensor:
        return F.leaky_relu(self.from_mask[level](packed(soft, self.cell)), SLOPE)


def packed(x: Tensor, cell: int) -> Tensor:
    """Lay the pixels of each cell of `[B, K, h, w]` behind each other: `[B, K cell^2, h', w']`."""
    return x if cell == 1 else F.pixel_unshuffle(x, cell)


def unpacked(x: Tensor, cell: int) -> Tensor:
    """Undo `packed`: `[B, K cell^2, h, w]` -> `[B, K, cell h, cell w]`."""
    return x if cell == 1 else F.pixel_shuffle(x, cell)


def upsample(x: Tensor) -> Tensor:
    """Double both sides of `[B, K, h, w]` by repeating pixels."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
