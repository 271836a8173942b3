"""OASIS (Schoenfeld et al., ICLR 2021): a painter whose critic is a segmentation network.

The critic tells, for every pixel, its class or "fake", so that alignment with the layout needs no
pretrained network; noise joined to the layout gives many images for one layout.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from data.stage.params import Params
from synth.nets.critics import SegmentationCritic, halvings
from synth.nets.layers import INIT_GAIN, set_gain
from synth.nets.losses import (
    class_weights,
    fake_cross_entropy,
    label_mix,
    label_mix_mask,
    real_cross_entropy,
)
from synth.painters.common.pyramid import Pyramid, check_size, oasis_stages
from synth.training.method import AdamConfig, Losses, Phase, Progress, Span, randn

Noise = Literal["image", "region", "pixel"]


class Config(Params):
    """Section `painters.oasis`; the paper's numbers where they do not depend on the machine."""

    num_images: int = Field(gt=0)
    batch_size: int = Field(20, ge=2)
    num_doublings: int = Field(5, ge=1, le=7)
    width: int = Field(64, ge=1)
    max_channels: int = Field(1024, ge=1)
    hidden: int = Field(128, ge=1)
    noise: Noise = "image"
    noise_channels: int = Field(64, ge=1)
    critic_width: int = Field(64, ge=1)
    critic_depth: int = Field(6, ge=1)
    label_mix_weight: float = Field(5.0, ge=0)
    class_weight_power: float = Field(1.0, ge=0)
    class_weight_max: float | None = Field(None, gt=0)
    reuse_fake: bool = True
    init_gain: float = Field(INIT_GAIN, gt=0)
    generator_lr: float = Field(4e-4, gt=0)
    critic_lr: float = Field(4e-4, gt=0)
    betas: tuple[float, float] = (0.0, 0.999)
    ema: float = Field(0.999, ge=0, lt=1)


@dataclass(frozen=True)
class Oasis:
    """The method: generator G, critic D, and their two phases."""

    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    ema: Mapping[str, float]
    num_classes: int
    noise: Noise
    noise_channels: int
    label_mix_weight: float
    class_weight_power: float
    class_weight_max: float | None
    reuse_fake: bool

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """Yield the generator's phase, then the critic's."""
        losses = self.losses(batch, onehot(batch.label, self.num_classes), progress)
        yield Phase("generator", losses.generator, ("G",))
        yield Phase("critic", losses.critic, ("D",))

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        rngs = [progress.rng] * len(layout)
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            made.append(self.paint(self.nets, layout, rngs))
            return self.generator_loss(made[0], layout)

        def critic() -> dict[str, Tensor]:
            fake = made[0].detach() if self.reuse_fake else self._repaint(layout, rngs)
            return self.critic_loss(batch.image, fake, layout, progress.rng)

        return Losses(generator, critic, made)

    def generator_loss(self, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Make the critic see the layout's classes in fake (eq. 3); layout one-hot or soft."""
        loss = real_cross_entropy(self.nets["D"](fake), layout, self._weights(layout))
        return {"generator": loss}

    def critic_loss(
        self, real: Tensor, fake: Tensor, layout: Tensor, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """Tell classes in real, "fake" in fake (eq. 1), and be consistent on their mix (eq. 4)."""
        mask = label_mix_mask(layout.argmax(1), self.num_classes, rng)
        images = [real, fake]
        if self.label_mix_weight > 0:
            images.append(mask * real + (1 - mask) * fake)
        # One pass for all: nothing in the critic mixes the items of a batch.
        logits = self.nets["D"](torch.cat(images)).chunk(len(images))
        terms = {
            "real": real_cross_entropy(logits[0], layout, self._weights(layout)),
            "fake": fake_cross_entropy(logits[1]),
        }
        if self.label_mix_weight > 0:
            terms["label_mix"] = self.label_mix_weight * label_mix(
                logits[2], logits[0], logits[1], mask
            )
        return terms

    def paint(self, nets: nn.ModuleDict, layout: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Paint layouts [B,C,H,W], one-hot or soft: images [B,3,H,W] in [-1,1]."""
        noise = draw_noise(layout, self.noise, self.noise_channels, rngs)
        return nets["G"](torch.cat([noise, layout], 1))

    def condition(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the one-hot layouts of real pairs."""
        return onehot(batch.label, self.num_classes)

    def sample(
        self, nets: nn.ModuleDict, condition: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint with one generator per layout."""
        return self.paint(nets, condition, rngs)

    def _repaint(self, layout: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        with torch.no_grad():
            return self.paint(self.nets, layout, rngs)

    def _weights(self, layout: Tensor) -> Tensor:
        return class_weights(layout, power=self.class_weight_power, most=self.class_weight_max)


def draw_noise(
    layout: Tensor, kind: Noise, channels: int, rngs: Sequence[torch.Generator]
) -> Tensor:
    """Draw the noise map [B,channels,H,W] that joins the layout.

    "image": one vector per image (the released code); "region": one per class of an image;
    "pixel": one per pixel (the paper's text).
    """
    batch, classes, height, width = layout.shape
    if kind == "pixel":
        return randn(rngs, (channels, height, width)).to(layout)
    if kind == "region":
        vectors = randn(rngs, (classes, channels)).to(layout)
        return torch.einsum("bchw,bcz->bzhw", layout, vectors)
    vectors = randn(rngs, (channels,)).to(layout)
    return vectors[:, :, None, None].expand(batch, channels, height, width)


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
    noise: Noise,
    noise_channels: int,
    critic_width: int,
    critic_depth: int,
    label_mix_weight: float,
    class_weight_power: float,
    class_weight_max: float | None,
    reuse_fake: bool,
    init_gain: float,
    generator_lr: float,
    critic_lr: float,
    betas: tuple[float, float],
    ema: float,
) -> Oasis:
    """Build OASIS for images of `size` (H,W) and layouts of `num_classes`.

    The critic halves `critic_depth` times, or as often as both sides allow. Raises `UserError` for
    a size that the generator cannot paint. As published, with 35 classes: G 71,107,523 and D
    22,251,364 parameters.
    """
    check_size(size, num_doublings)
    stages = oasis_stages(num_doublings, width=width, max_channels=max_channels)
    nets = nn.ModuleDict(
        {
            "G": Pyramid(num_classes + noise_channels, stages, hidden=hidden),
            "D": SegmentationCritic(
                num_classes, width=critic_width, depth=halvings(size, critic_depth)
            ),
        }
    )
    set_gain(nets, init_gain)
    return Oasis(
        nets=nets,
        optimizers={"G": AdamConfig(generator_lr, betas), "D": AdamConfig(critic_lr, betas)},
        spans=(Span(num_images, batch_size),),
        ema={"G": ema},
        num_classes=num_classes,
        noise=noise,
        noise_channels=noise_channels,
        label_mix_weight=label_mix_weight,
        class_weight_power=class_weight_power,
        class_weight_max=class_weight_max,
        reuse_fake=reuse_fake,
    )
