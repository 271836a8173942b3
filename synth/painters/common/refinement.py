"""Cascaded refinement: modules at doubling sizes, each shown its condition at its own size.

The generator of CRN (Chen and Koltun, ICCV 2017), which conditional IMLE gives noise too, and whose
module SIMS takes for its refinement network.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from synth.nets.features import FeatureLoss
from synth.nets.layers import Condition, activate, conv
from synth.nets.losses import Perceptual
from synth.painters.common.adversarial import Adversarial, PainterParams, PerceptualParams

Sight = FeatureLoss | Perceptual
"""What images are compared by."""


class RefinedParams(PainterParams, PerceptualParams):
    """The keys of painters without a critic, which learn to be near the real image."""

    batch_size: int = Field(ge=1)
    num_doublings: int = Field(ge=1, le=8)
    width: int = Field(ge=2)
    pixel_weight: float = Field(ge=0)
    init_gain: float = Field(gt=0)

    @model_validator(mode="after")
    def _sees(self) -> "RefinedParams":
        if self.vgg is None and self.pretrained is None:
            raise ValueError("it learns through a network alone: set `vgg` or `pretrained`")
        return self


class Refined(Adversarial, Protocol):
    """A painter that learns to be near the real image."""

    @property
    def perceptual(self) -> Sight | None:
        """What images are compared by."""
        ...


def sight_of(method: Refined, like: Tensor) -> Sight:
    """Return what images are compared by, on the device of a tensor of any shape."""
    assert method.perceptual is not None, "checked when the numbers were read"
    return method.perceptual.to(like.device)


def nearness(method: Refined, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Return the weighted terms that draw images [B,3,H,W] to real ones, in features and pixels."""
    config, sight = method.config, sight_of(method, fake)
    return {
        "perceptual": config.perceptual_weight * sight(fake, real),
        "pixels": config.pixel_weight * (fake - real).abs().mean(),
    }


class Refinement(nn.Module):
    """Two convolutions with layer norms on what was made so far and what is shown."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([conv(inputs, outputs, 3), conv(outputs, outputs, 3)])
        self.norms = nn.ModuleList(nn.GroupNorm(1, outputs) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,inputs,h,w] to [B,outputs,h,w]."""
        for layer, norm in zip(self.convs, self.norms, strict=True):
            x = activate(norm(layer(x)))
        return x


class Cascade(nn.Module):
    """Modules from the base grid to full size, and a last convolution.

    `num_shown` are the channels of what every module is shown: the layout's, and the noise's.
    """

    def __init__(self, num_shown: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.refinements = nn.ModuleList(
            Refinement(inputs + num_shown, outputs)
            for inputs, outputs in zip([0, *channels[:-1]], channels, strict=True)
        )
        self.rgb = conv(channels[-1], 3, 1)

    def forward(self, layout: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return an image [B,3,H,W], float32, of a layout [B,C,H,W]; nothing keeps it in [-1,1].

        Noise [B,N,H,W] is looked up at the pixels of a grid, not averaged as the layout is: it
        would be the weaker, the coarser the grid.
        """
        conditions = [Condition(layout, "area")]
        if noise is not None:
            conditions.append(Condition(noise, "bilinear"))
        size, last = layout.shape[-2:], len(self.refinements) - 1
        x = None
        for level, refinement in enumerate(self.refinements):
            grid = [side // 2 ** (last - level) for side in size]
            seen = [condition.at(grid) for condition in conditions]
            if x is not None:
                x = F.interpolate(x, size=grid, mode="bilinear", align_corners=False)
                seen = [x, *seen]
            x = refinement(torch.cat(seen, 1) if len(seen) > 1 else seen[0])
        return self.rgb(x).float()


def widths(num_doublings: int, width: int, height: int) -> tuple[int, ...]:
    """Return the channels of every module, coarsest first, for images of a height.

    As published with width 1024: that many below 128 rows, half of it at 128 and 256, an eighth at
    512, and an 32nd at 1024.
    """
    found = []
    for level in range(num_doublings, -1, -1):
        rows = height // 2**level
        share = 1 if rows < 128 else 2 if rows < 512 else 8 if rows < 1024 else 32
        found.append(max(1, width // share))
    return tuple(found)
