"""CC-FPSE (Liu et al., NeurIPS 2019): convolutions whose weights the layout predicts.

A pyramid of layout features predicts, for every pixel, the 3x3 kernels of depthwise convolutions
and the gates of their outputs, in place of SPADE's scales and shifts. The critic embeds the layout
in its own pyramid of image features: score = t(f) + s(f) . embedding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.nets.critics import EmbeddingCritic
from synth.nets.layers import Condition, Spade, activate, conv, filtered, set_gain
from synth.painters.common import hinged
from synth.painters.common.adversarial import (
    DoubledParams,
    MatchParams,
    adam,
    alternate,
    average,
)
from synth.painters.common.encoding import (
    EncoderParams,
    fill_codes,
    has_encoder,
    request_own,
)
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import cast_generator
from synth.painters.common.pyramid import (
    Pyramid,
    Stage,
    check_size,
    code_seed,
    layout_seed,
    spade_stages,
)
from synth.training.method import Given, Span, computed

DEPTH = 5  # halvings of the published critic


class Config(hinged.RecipeParams, DoubledParams, MatchParams, EncoderParams):
    """Section `painters.cc_fpse` of `params.yaml`."""

    max_channels: int = Field(ge=1)
    layout_width: int = Field(ge=1)  # channels of the pyramid of layout features


class Normed(nn.Sequential):
    """A convolution with spectral and batch norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        layer = conv(inputs, outputs, kernel, spectral=True, bias=False, stride=stride)
        super().__init__(layer, nn.BatchNorm2d(outputs))

    def forward(self, input: Tensor) -> Tensor:
        """Map [B,inputs,h,w] to [B,outputs,h/stride,w/stride]."""
        return activate(super().forward(input))


class LayoutPyramid(nn.Module):
    """Features of a layout at every size, from coarse to fine with what is seen on the way down."""

    def __init__(self, num_classes: int, width: int, num_halvings: int) -> None:
        super().__init__()
        steps = range(num_halvings)
        self.first = Normed(num_classes, width, 3)
        self.down = nn.ModuleList(Normed(width, width, 3, stride=2) for _ in steps)
        self.across = nn.ModuleList(Normed(width, width, 1) for _ in steps)
        self.up = nn.ModuleList(Normed(width, width, 3) for _ in steps)

    def forward(self, layout: Tensor) -> list[Tensor]:
        """Return features [B,width,h,w] of a layout [B,C,H,W], coarsest first."""
        seen = [self.first(layout)]
        for layer in self.down:
            seen.append(layer(seen[-1]))
        made = [seen.pop()]
        for across, up in zip(self.across, self.up, strict=True):
            doubled = F.interpolate(made[-1], scale_factor=2, mode="nearest")
            made.append(up(doubled + across(seen.pop())))
        return made


class Leveled(Condition):
    """A layout [B,C,H,W], and at each size its features there beside it."""

    def __init__(self, layout: Tensor, levels: Sequence[Tensor]) -> None:
        super().__init__(layout)
        self._levels = {tuple(level.shape[-2:]): level for level in levels}

    def beside(self, size: Sequence[int]) -> Tensor:
        """Return layout and features [B,C+K,h,w]."""
        size = (int(size[0]), int(size[1]))
        return torch.cat([self.at(size), self._levels[size].to(self.at(size))], 1)


class ConditionalBlock(nn.Module):
    """A residual block of conditional convolutions; `beside` channels predict their weights."""

    def __init__(self, stage: Stage, beside: int, hidden: int) -> None:
        super().__init__()
        inputs, outputs = stage.in_channels, stage.out_channels
        middle = min(inputs, outputs)

        def predictor(count: int) -> nn.Module:
            return nn.Sequential(conv(beside, hidden, 3), nn.ReLU(), conv(hidden, count, 3))

        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (inputs, middle))
        self.kernels = nn.ModuleList(predictor(9 * c) for c in (inputs, middle))
        self.gates = nn.ModuleList(predictor(c) for c in (middle, outputs))
        self.mixes = nn.ModuleList([conv(inputs, middle, 1), conv(middle, outputs, 1)])
        self.learned_skip = inputs != outputs
        if self.learned_skip:
            self.norm_skip = Spade(inputs, beside, hidden)
            self.conv_skip = conv(inputs, outputs, 1, spectral=True, bias=False)

    def forward(self, x: Tensor, condition: Leveled) -> Tensor:
        """Map x [B,in,h,w] to [B,out,h,w]."""
        seen = condition.beside(x.shape[-2:])
        skip = self.conv_skip(self.norm_skip(x, Condition(seen))) if self.learned_skip else x
        y = x
        layers = zip(self.norms, self.kernels, self.gates, self.mixes, strict=True)
        for norm, kernel, gate, mix in layers:
            y = filtered(norm(y), kernel(seen))
            y = activate(mix(y) * torch.sigmoid(gate(seen)))
        return y + skip


class Generator(nn.Module):
    """A pyramid of conditional blocks, beside that of the layout's features."""

    def __init__(self, seed: nn.Module, stages: tuple[Stage, ...], classes: int, config: Any):
        super().__init__()
        width, doublings = config.layout_width, sum(stage.doubles for stage in stages)
        self.layout = LayoutPyramid(classes, width, doublings)

        def block(stage: Stage) -> nn.Module:
            return ConditionalBlock(stage, classes + width, config.hidden)

        self.pyramid = Pyramid(seed, stages, block)

    def forward(self, layout: Tensor, code: Tensor | None = None) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32, of a layout [B,C,H,W]."""
        condition = Leveled(layout, self.layout(layout))
        return self.pyramid.paint(condition, self.pyramid.sow(condition, layout.shape[-2:], code))


@dataclass(frozen=True)
class CcFpse:
    """The method: generator G and its encoder E, critic D that embeds layouts."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = computed(hinged.generators), computed(hinged.critics)
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_own
    generator_loss, critic_loss = hinged.generator_loss, hinged.critic_loss
    losses, sample = hinged.coded_losses, hinged.coded_sample


def critic_depth(size: tuple[int, int]) -> int:
    """Return the critic's halvings, five if the last leave more than one pixel of a size (H,W)."""
    depth = DEPTH
    while math.prod(-(-side // 2**depth) for side in size) < 2:
        depth -= 1
    return depth


def build(config: Config, given: Given) -> CcFpse:
    """Build CC-FPSE.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, at 128x256 with 35 classes and no encoder: G 119,940,867 parameters (the
    released one declares 26,112 more that it never calls).
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    stages = spade_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    classes = given.num_classes
    if config.latent is None:
        seed = layout_seed(classes, stages)
    else:
        seed = code_seed(config.latent, stages, given.size)
    nets = nn.ModuleDict(
        {
            "G": Generator(seed, stages, classes, config),
            "D": EmbeddingCritic(
                classes, width=config.critic_width, depth=critic_depth(given.size)
            ),
        }
    )
    nets.update(config.encoding())
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return CcFpse(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, cast_generator, end=fill_codes, joins=True, takes_style=has_encoder)
