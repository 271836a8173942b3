"""Cascaded refinement networks (Chen and Koltun, ICCV 2017): no critic, a perceptual loss.

Modules at doubling sizes refine what the one before made, each shown the layout at its own size.
The loss is a weighted sum of L1 distances in features of a pretrained network, and of pixels. One
image for a layout: the variant with several outputs is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.nets.layers import Condition, activate, conv, set_gain
from synth.painters.common.adversarial import (
    PainterParams,
    PerceptualParams,
    adam,
    alternate,
    average,
    request_real,
)
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import cast
from synth.painters.common.pyramid import check_size
from synth.training.method import Given, Losses, PaintRequest, Progress, Span, computed


class Config(PainterParams, PerceptualParams):
    """Section `painters.crn` of `params.yaml`."""

    batch_size: int = Field(ge=1)
    num_doublings: int = Field(ge=1, le=8)
    width: int = Field(ge=2)
    pixel_weight: float = Field(ge=0)
    init_gain: float = Field(gt=0)

    @model_validator(mode="after")
    def _sees(self) -> "Config":
        if self.vgg is None and self.pretrained is None:
            raise ValueError("crn learns through a network alone: set `vgg` or `pretrained`")
        return self


class Refinement(nn.Module):
    """Two convolutions with layer norms on what was made so far and the layout."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([conv(inputs, outputs, 3), conv(outputs, outputs, 3)])
        self.norms = nn.ModuleList(nn.GroupNorm(1, outputs) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,inputs,h,w] to [B,outputs,h,w]."""
        for layer, norm in zip(self.convs, self.norms, strict=True):
            x = activate(norm(layer(x)))
        return x


class Generator(nn.Module):
    """Modules from the base grid to full size, and a last convolution."""

    def __init__(self, num_classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.refinements = nn.ModuleList(
            Refinement(inputs + num_classes, outputs)
            for inputs, outputs in zip([0, *channels[:-1]], channels, strict=True)
        )
        self.rgb = conv(channels[-1], 3, 1)

    def forward(self, layout: Tensor) -> Tensor:
        """Return an image [B,3,H,W], float32, of a layout [B,C,H,W]; nothing keeps it in [-1,1]."""
        condition = Condition(layout, "area")
        size, last = layout.shape[-2:], len(self.refinements) - 1
        x = None
        for level, refinement in enumerate(self.refinements):
            grid = [side // 2 ** (last - level) for side in size]
            seen = condition.at(grid)
            if x is not None:
                x = F.interpolate(x, size=grid, mode="bilinear", align_corners=False)
                seen = torch.cat([x, seen], 1)
            x = refinement(seen)
        return self.rgb(x).float()


@dataclass(frozen=True)
class Crn:
    """The method: generator G, and what it is judged with."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = ("G",), ()
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            made.append(self.nets["G"](layout))
            return self.generator_loss(batch.image, made[0], layout)

        return Losses(generator, dict, made)

    def generator_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Draw images [B,3,H,W] to the real ones, in features and pixels."""
        assert self.perceptual is not None
        self.perceptual.to(fake.device)
        seen = self.perceptual(fake, real)
        return {
            "perceptual": self.config.perceptual_weight * seen,
            "pixels": self.config.pixel_weight * (fake - real).abs().mean(),
        }

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W]; nothing is drawn, one layout has one image."""
        return nets["G"](request.planes(self.given.num_classes)).clamp(-1, 1)


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


def build(config: Config, given: Given) -> Crn:
    """Build a cascaded refinement network.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, at 128x256 with 35 classes: G 93,821,955 parameters.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    channels = widths(config.num_doublings, config.width, given.size[0])
    nets = nn.ModuleDict({"G": Generator(given.num_classes, channels)})
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Crn(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, cast, joins=True)
