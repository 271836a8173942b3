"""SPADE / GauGAN (Park et al., CVPR 2019): layout-modulated norms, hinge loss, patch critics.

Without an image encoder (one layout, one image) and without instance edges, which generated layouts
do not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from data.stage.params import Params
from synth.nets.critics import MultiScalePatchCritic
from synth.nets.layers import INIT_GAIN, set_gain
from synth.nets.losses import (
    Perceptual,
    feature_matching,
    hinge_critic,
    hinge_generator,
    load_perceptual,
)
from synth.painters.common.pyramid import Pyramid, check_size, spade_stages
from synth.training.method import AdamConfig, Losses, Phase, Progress, Span


class Config(Params):
    """Section `painters.spade`; the paper's numbers where they do not depend on the machine."""

    num_images: int = Field(gt=0)
    batch_size: int = Field(16, ge=2)
    num_doublings: int = Field(5, ge=1, le=7)
    width: int = Field(64, ge=1)
    max_channels: int = Field(1024, ge=1)
    hidden: int = Field(128, ge=1)
    critic_width: int = Field(64, ge=1)
    critic_layers: Literal[3, 4] = 4
    critic_scales: int = Field(2, ge=1)
    feature_matching_weight: float = Field(10.0, ge=0)
    perceptual_weight: float = Field(10.0, ge=0)
    vgg: Path | None = None
    reuse_fake: bool = True
    init_gain: float = Field(INIT_GAIN, gt=0)
    generator_lr: float = Field(1e-4, gt=0)
    critic_lr: float = Field(4e-4, gt=0)
    betas: tuple[float, float] = (0.0, 0.9)
    ema: float = Field(0.999, ge=0, lt=1)


@dataclass(frozen=True)
class Spade:
    """The method: generator G, multi-scale patch critic D, and their two phases."""

    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    ema: Mapping[str, float]
    num_classes: int
    feature_matching_weight: float
    perceptual_weight: float
    perceptual: Perceptual | None
    reuse_fake: bool

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """Yield the generator's phase, then the critic's."""
        losses = self.losses(batch, onehot(batch.label, self.num_classes), progress)
        yield Phase("generator", losses.generator, ("G",))
        yield Phase("critic", losses.critic, ("D",))

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            made.append(self.nets["G"](layout))
            return self.generator_loss(batch.image, made[0], layout)

        def critic() -> dict[str, Tensor]:
            fake = made[0].detach() if self.reuse_fake else self._repaint(layout)
            return self.critic_loss(batch.image, fake, layout)

        return Losses(generator, critic, made)

    def generator_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Raise the critic's scores, match its features, and VGG's where weights were given."""
        scores, features = self.nets["D"](fake, layout)
        with torch.no_grad():
            _, wanted = self.nets["D"](real, layout)
        terms = {
            "hinge": hinge_generator(scores),
            "feature_matching": self.feature_matching_weight * feature_matching(wanted, features),
        }
        if self.perceptual is not None:
            self.perceptual.to(fake.device)
            terms["perceptual"] = self.perceptual_weight * self.perceptual(fake, real)
        return terms

    def critic_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Tell real from fake by the hinge; layout one-hot or soft."""
        # Real and fake in one pass, as released; instance norm keeps the items apart.
        scores, _ = self.nets["D"](torch.cat([real, fake]), torch.cat([layout, layout]))
        halves = [score.chunk(2) for score in scores]
        loss = hinge_critic([real for real, _ in halves], [fake for _, fake in halves])
        return {"critic": loss}

    def condition(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the one-hot layouts of real pairs."""
        return onehot(batch.label, self.num_classes)

    def sample(
        self, nets: nn.ModuleDict, condition: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint layouts [B,C,H,W], one-hot or soft; nothing is drawn, one layout has one image."""
        return nets["G"](condition)

    def _repaint(self, layout: Tensor) -> Tensor:
        with torch.no_grad():
            return self.nets["G"](layout)


def build(
    *,
    num_classes: int,
    size: tuple[int, int],
    num_images: int,
    batch_size: int,
    num_doublings: int,
    width: int,
    max_channels: int,
    hidden: int,
    critic_width: int,
    critic_layers: int,
    critic_scales: int,
    feature_matching_weight: float,
    perceptual_weight: float,
    vgg: Path | None,
    reuse_fake: bool,
    init_gain: float,
    generator_lr: float,
    critic_lr: float,
    betas: tuple[float, float],
    ema: float,
) -> Spade:
    """Build SPADE for images of `size` (H,W) and layouts of `num_classes`.

    `critic_layers` 4 is the paper's critic, 3 Semantic Palette's. Raises `UserError` for a size
    that cannot be painted and for missing VGG weights. As published, with 35 classes at 128x256:
    G 93,018,051 parameters.
    """
    check_size(size, num_doublings)
    perceptual = None if vgg is None else load_perceptual(vgg)
    stages = spade_stages(num_doublings, width=width, max_channels=max_channels)
    nets = nn.ModuleDict(
        {
            "G": Pyramid(num_classes, stages, hidden=hidden),
            "D": MultiScalePatchCritic(
                num_classes + 3,
                width=critic_width,
                num_layers=critic_layers,
                num_scales=critic_scales,
            ),
        }
    )
    set_gain(nets, init_gain)
    return Spade(
        nets=nets,
        optimizers={"G": AdamConfig(generator_lr, betas), "D": AdamConfig(critic_lr, betas)},
        spans=(Span(num_images, batch_size),),
        ema={"G": ema},
        num_classes=num_classes,
        feature_matching_weight=feature_matching_weight,
        perceptual_weight=perceptual_weight,
        perceptual=perceptual,
        reuse_fake=reuse_fake,
    )
