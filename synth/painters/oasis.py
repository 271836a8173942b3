"""OASIS (Schoenfeld et al., ICLR 2021): a painter whose critic is a segmentation network.

The critic tells, for every pixel, its class or "fake", so that alignment with the layout needs no
pretrained network; noise joined to the layout gives many images for one layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.nets.critics import SegmentationCritic, halvings
from synth.nets.layers import set_gain
from synth.nets.losses import (
    class_weights,
    fake_cross_entropy,
    label_mix,
    label_mix_mask,
    real_cross_entropy,
)
from synth.painters.common.adversarial import DoubledParams, adam, alternate, average, request_real
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import fold_generator
from synth.painters.common.pyramid import Pyramid, check_size, oasis_stages
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    randn,
)

Noise = Literal["image", "region", "pixel"]


class Config(DoubledParams):
    """Section `painters.oasis` of `params.yaml`."""

    batch_size: int = Field(ge=2)
    max_channels: int = Field(ge=1)
    hidden: int = Field(ge=1)
    noise: Noise
    noise_channels: int = Field(ge=1)
    critic_depth: int = Field(ge=1)
    label_mix_weight: float = Field(ge=0)
    class_weight_power: float = Field(ge=0)
    class_weight_max: float | None = Field(gt=0)
    reuse_fake: bool
    init_gain: float = Field(gt=0)


@dataclass(frozen=True)
class Oasis:
    """The method: generator G, critic D, and their two phases."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        rngs = [progress.rng] * len(layout)
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            made.append(self._paint(self.nets, layout, rngs))
            return self.generator_loss(made[0], layout)

        def critic() -> dict[str, Tensor]:
            fake = made[0].detach() if self.config.reuse_fake else self._repaint(layout, rngs)
            return self.critic_loss(batch.image, fake, layout, progress.rng)

        return Losses(generator, critic, made)

    def generator_loss(self, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Make the critic see in fake the classes of layout [B,C,H,W], one-hot or soft (eq. 3)."""
        loss = real_cross_entropy(self.nets["D"](fake), layout, self._weights(layout))
        return {"generator": loss}

    def critic_loss(
        self, real: Tensor, fake: Tensor, layout: Tensor, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """Tell classes in real [B,3,H,W], "fake" in fake (eq. 1), consistent on a mix (eq. 4)."""
        mask = label_mix_mask(layout.argmax(1), self.given.num_classes, rng)
        weight, images = self.config.label_mix_weight, [real, fake]
        if weight > 0:
            images.append(mask * real + (1 - mask) * fake)
        # One pass for all: nothing in the critic mixes the items of a batch.
        logits = self.nets["D"](torch.cat(images)).chunk(len(images))
        terms = {
            "real": real_cross_entropy(logits[0], layout, self._weights(layout)),
            "fake": fake_cross_entropy(logits[1]),
        }
        if weight > 0:
            terms["label_mix"] = weight * label_mix(logits[2], logits[0], logits[1], mask)
        return terms

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W] with one generator each."""
        return self._paint(nets, request.planes(self.given.num_classes), rngs)

    def _paint(
        self, nets: nn.ModuleDict, layout: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        noise = draw_noise(layout, self.config.noise, self.config.noise_channels, rngs)
        return nets["G"](torch.cat([noise, layout], 1))

    def _repaint(self, layout: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        with torch.no_grad():
            return self._paint(self.nets, layout, rngs)

    def _weights(self, layout: Tensor) -> Tensor:
        config = self.config
        return class_weights(layout, power=config.class_weight_power, most=config.class_weight_max)


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


def build(config: Config, given: Given) -> Oasis:
    """Build OASIS.

    The critic halves `critic_depth` times, or as often as both sides allow. Raises `UserError` for
    a size that the generator cannot paint. As published, with 35 classes: G 71,107,523 and D
    22,251,364 parameters.
    """
    check_size(given.size, config.num_doublings)
    stages = oasis_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    channels, depth = given.num_classes + config.noise_channels, config.critic_depth
    nets = nn.ModuleDict(
        {
            "G": Pyramid(channels, stages, hidden=config.hidden),
            "D": SegmentationCritic(
                given.num_classes, width=config.critic_width, depth=halvings(given.size, depth)
            ),
        }
    )
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Oasis(config, given, nets, spans)


ENTRY = Entry(Config, build, fold_generator, joins=True)
