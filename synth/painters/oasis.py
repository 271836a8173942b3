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
from synth.painters.common.adversarial import (
    DoubledParams,
    adam,
    alternate,
    average,
    in_turn,
    request_real,
)
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import fold_generator
from synth.painters.common.pyramid import (
    Pyramid,
    check_size,
    layout_seed,
    oasis_stages,
    spade_block,
)
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    rand,
    randn,
)

BOX = (0.25, 0.75)  # shortest and longest side of a box, fractions of the image's

Noise = Literal["image", "region", "box", "pixel"]


class Config(DoubledParams):
    """Section `painters.oasis` of `params.yaml`."""

    batch_size: int = Field(ge=2)
    max_channels: int = Field(ge=1)
    hidden: int = Field(ge=1)
    noise: Noise
    noise_produced: Noise
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
        return in_turn(
            lambda: self._paint(self.nets, layout, self.config.noise, rngs),
            lambda fake: self.generator_loss(fake, layout),
            lambda fake: self.critic_loss(batch.image, fake, layout, progress.rng),
            reuse=self.config.reuse_fake,
        )

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
        layout = request.planes(self.given.num_classes)
        return self._paint(nets, layout, self.config.noise_produced, rngs)

    def _paint(
        self, nets: nn.ModuleDict, layout: Tensor, kind: Noise, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        noise = draw_noise(layout, kind, self.config.noise_channels, rngs)
        return nets["G"](torch.cat([noise, layout], 1))

    def _weights(self, layout: Tensor) -> Tensor:
        config = self.config
        return class_weights(layout, power=config.class_weight_power, most=config.class_weight_max)


def draw_noise(
    layout: Tensor, kind: Noise, channels: int, rngs: Sequence[torch.Generator]
) -> Tensor:
    """Draw the noise map [B,channels,H,W] that joins the layout.

    "image": one vector per image (the released code); "region": one per class of an image; "box":
    another one inside a box of the image; "pixel": one per pixel (the paper's text).
    """
    batch, classes, height, width = layout.shape
    if kind == "pixel":
        return randn(rngs, (channels, height, width)).to(layout)
    if kind == "region":
        vectors = randn(rngs, (classes, channels)).to(layout)
        return torch.einsum("bchw,bcz->bzhw", layout, vectors)
    if kind == "box":
        vectors = randn(rngs, (2, channels)).to(layout)
        inside = _boxes(rngs, height, width).to(layout)
        outside, within = vectors[..., None, None].unbind(1)
        return outside + inside[:, None] * (within - outside)
    vectors = randn(rngs, (channels,)).to(layout)
    return vectors[:, :, None, None].expand(batch, channels, height, width)


def _boxes(rngs: Sequence[torch.Generator], height: int, width: int) -> Tensor:
    """Draw a box in each image: 1 inside, 0 outside, `[B,height,width]`."""
    low, high = BOX
    numbers = rand(rngs, (4,))
    sides = low + (high - low) * numbers[:, :2]
    begins = (1 - sides) * numbers[:, 2:]
    within = []
    for axis, length in enumerate((height, width)):
        place = (torch.arange(length, device=numbers.device) + 0.5) / length
        begin = begins[:, axis, None]
        within.append((place >= begin) & (place < begin + sides[:, axis, None]))
    return (within[0][:, :, None] & within[1][:, None, :]).float()


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
            "G": Pyramid(
                layout_seed(channels, stages), stages, spade_block(channels, config.hidden)
            ),
            "D": SegmentationCritic(
                given.num_classes, width=config.critic_width, depth=halvings(given.size, depth)
            ),
        }
    )
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Oasis(config, given, nets, spans)


ENTRY = Entry(Config, build, fold_generator, joins=True)
