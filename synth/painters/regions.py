"""Paint each region in the look of a real one: styles from a bank, judged through ImageNet eyes.

Made of published parts: a style for each region of a real image (SEAN, Zhu et al., CVPR 2020),
measured instead of learnt; the pyramid of SPADE (Park et al., CVPR 2019), slim and with instance
norms; a critic that names the class of every pixel or "fake" (OASIS, Schoenfeld et al., ICLR 2021)
as a decoder of frozen pretrained features (Projected GANs, Sauer et al., NeurIPS 2021); and a
perceptual loss where the look is the image's own (Johnson et al., ECCV 2016).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, Stream
from data.pretrained import Features, depth
from data.stage.params import Pretrained
from synth.nets.critics import FeatureCritic
from synth.nets.features import perceptual
from synth.nets.layers import activate
from synth.nets.losses import fake_cross_entropy, real_cross_entropy
from synth.nets.modulation import modulate
from synth.painters.common.adversarial import (
    CriticParams,
    adam,
    alternate,
    average,
    request_real,
)
from synth.painters.common.bank import StyleBank, bank_of, style_map
from synth.painters.common.entry import Entry, always
from synth.painters.common.prepared import cast_generator
from synth.painters.common.pyramid import check_size
from synth.painters.common.styles import MOMENTS, measure
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

UNHEARD = -1  # the level before the first: nobody listens to the critic


class Config(CriticParams):
    """Section `painters.regions` of `params.yaml`."""

    batch_size: int = Field(ge=1)
    pretrained: Pretrained
    channels: tuple[int, ...] = Field(min_length=2, max_length=8)  # of each grid, coarsest first
    hidden: int = Field(ge=1)
    noise_channels: int = Field(ge=0)
    style_components: int = Field(ge=0)
    perceptual_weight: float = Field(ge=0)
    pixel_weight: float = Field(ge=0)
    adversarial_weight: float = Field(ge=0)
    adversarial_start: int = Field(ge=0)  # images shown before the critic is listened to
    adversarial_ramp: int = Field(ge=1)  # images over which it grows louder, or what is left
    class_weight_power: float = Field(ge=0)
    class_weight_max: float = Field(gt=0)


class Modulated(nn.Module):
    """A residual block whose instance norms are scaled and shifted by what is to be painted."""

    def __init__(self, inputs: int, outputs: int, condition: int, hidden: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(condition, hidden, 3, padding=1)
        self.scales = nn.ModuleList(nn.Conv2d(hidden, c, 1) for c in (inputs, outputs))
        self.shifts = nn.ModuleList(nn.Conv2d(hidden, c, 1) for c in (inputs, outputs))
        for name, bias in self.scales.named_parameters():
            if name.endswith("bias"):
                nn.init.ones_(bias)
        self.convs = nn.ModuleList(nn.Conv2d(c, outputs, 3, padding=1) for c in (inputs, outputs))
        same = inputs == outputs
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Transform features [B,I,h,w] into [B,O,h,w] under a condition [B,K,h,w]."""
        hidden, y = F.relu(self.look(condition)), x
        for scale, shift, conv in zip(self.scales, self.shifts, self.convs, strict=True):
            y = conv(modulate(y, scale(hidden), shift(hidden)))
        return self.skip(x) + y


class Generator(nn.Module):
    """From the coarsest grid to the image: a block at every grid, each twice the size before."""

    def __init__(self, condition: int, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.seed = nn.Conv2d(condition, channels[0], 3, padding=1)
        inputs = (channels[0], *channels[:-1])
        self.blocks = nn.ModuleList(
            Modulated(i, o, condition, hidden) for i, o in zip(inputs, channels, strict=True)
        )
        self.rgb = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, layout: Tensor, looks: Tensor, noise: Tensor) -> Tensor:
        """Paint layouts [B,C,H,W] in styles [B,C,S] with noise [B,K,H,W].

        Returns images [B,3,H,W] in [-1,1], float32.
        """
        grids = [torch.cat([layout, style_map(layout, looks), noise], 1)]
        for _ in self.blocks[1:]:
            grids.append(F.avg_pool2d(grids[-1], 2))
        x = self.seed(grids[-1])
        for number, (block, grid) in enumerate(zip(self.blocks, reversed(grids), strict=True)):
            if number:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(x, grid)
        return torch.tanh(self.rgb(activate(x)).float())


@dataclass(frozen=True)
class Regions:
    """The method: generator G, critic D, the bank of styles, and frozen features."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    @cached_property
    def features(self) -> Features:
        """What judges pictures: for training alone, in no checkpoint and no artifact."""
        return Features(self.config.pretrained)

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft.

        Each layout is painted in its own look, which has a target, and in every second step also in
        another image's, which only the critic judges.
        """
        made: list[Tensor] = []
        real: list[Tensor] = []
        judged: list[tuple[Tensor, list[Tensor]]] = []
        config, features = self.config, self.features.to(layout.device)
        deepest = depth(self.given.size)
        wanted = layout[:, :, ::2, ::2]  # at the critic's stride of 2: of four pixels the first

        def paint(looks: Tensor) -> tuple[Tensor, list[Tensor]]:
            noise = self._noise(layout, [progress.rng] * len(layout))
            fake = self.nets["G"](layout, looks, noise)
            seen = features(fake, deepest)
            judged[:] = [(fake.detach(), [one.detach() for one in seen])]
            return fake, seen

        def named(fake: Tensor, seen: list[Tensor]) -> Tensor:
            return real_cross_entropy(self.nets["D"](fake, seen), wanted, self._weights())

        def generator() -> dict[str, Tensor]:
            with torch.no_grad():
                real.extend(features(batch.image, deepest))
            fake, seen = paint(self._own(batch, progress))
            made.append(fake)
            terms = {
                "perceptual": config.perceptual_weight * perceptual(seen, real),
                "pixels": config.pixel_weight * (fake - batch.image).abs().mean(),
            }
            weight = self._adversarial(progress)
            if weight > 0:
                terms["critic"] = weight * named(fake, seen)
            if weight > 0 and progress.step % 2:
                terms["critic_other"] = weight * named(*paint(self._other(progress, len(layout))))
            return terms

        def critic() -> dict[str, Tensor]:
            return {
                "real": named(batch.image, real),
                "fake": fake_cross_entropy(self.nets["D"](*judged[0])),
            }

        return Losses(generator, critic, made)

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint layouts in the looks asked for, or in those of rows that the generators draw."""
        layout = request.planes(self.given.num_classes)
        numbers = rand(rngs, (1 + self.given.num_classes,)).to(layout.device)
        looks = bank_of(nets).asked(request.style, numbers)
        return nets["G"](layout, looks, self._noise(layout, rngs))

    def _noise(self, layout: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        return randn(rngs, (self.config.noise_channels, *layout.shape[2:])).to(layout)

    def _own(self, batch: Batch, progress: Progress) -> Tensor:
        numbers = self._numbers(progress, len(batch.row))
        return bank_of(self.nets).looks(batch.row, numbers[:, 1:], batch.mirrored)

    def _other(self, progress: Progress, num: int) -> Tensor:
        return bank_of(self.nets).other(self._numbers(progress, num))

    def _numbers(self, progress: Progress, num: int) -> Tensor:
        """Draw uniform numbers [num,1+C] for the pairs of the batch."""
        return rand([progress.rng] * num, (1 + self.given.num_classes,))

    def _adversarial(self, progress: Progress) -> float:
        return 0.0 if progress.level == UNHEARD else self.config.adversarial_weight * progress.alpha

    def _weights(self) -> Tensor:
        """Return loss weights of classes [C]: rare ones weigh more, the mean pixel 1."""
        config, shares = self.config, bank_of(self.nets).shares
        weights = shares.clamp(min=1e-4) ** -config.class_weight_power
        weights = weights / (weights * shares).sum()
        return weights.clamp(max=config.class_weight_max)


def build(config: Config, given: Given) -> Regions:
    """Build the painter; `begin` fills its bank.

    Raises `UserError` for a size that the grids do not divide.
    """
    check_size(given.size, len(config.channels) - 1, fix="shorten its list of channels")
    bank = StyleBank(given.num_classes, MOMENTS + config.style_components)
    condition = given.num_classes + bank.size + config.noise_channels
    seen = Features.channels[: depth(given.size)]
    nets = nn.ModuleDict(
        {
            "G": Generator(condition, config.channels, config.hidden),
            "D": FeatureCritic(given.num_classes, seen, config.critic_width),
            "bank": bank,
        }
    )
    return Regions(config, given, nets, tuple(spans(config)))


def spans(config: Config) -> Iterator[Span]:
    """Yield the schedule: before the critic is heard, while it grows louder, and after."""
    left = config.num_images
    for most, level, fade in (
        (config.adversarial_start, UNHEARD, False),
        (config.adversarial_ramp, 0, True),
        (left, 0, False),
    ):
        if count := min(most, left):
            yield Span(count, config.batch_size, level, fade)
        left -= count


def begin(method: Regions, stream: Stream) -> None:
    """Measure the looks of the training pairs."""
    measure(bank_of(method.nets), stream, method.features)


ENTRY = Entry(Config, build, cast_generator, begin=begin, joins=True, takes_style=always)
