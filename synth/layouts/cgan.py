"""Baseline 1 of Semantic Palette (CVPR 2021): a conditional GAN that is told the palette.

The palette stands beside the noise and is shown to the critic, nothing else asks for it (Mirza and
Osindero, 2014; mode `original_cgan` of the released code). Growth, blocks, WGAN-GP and Adam are
those of `semantic_palette`; the last layer is the softmax of every pixel. Whether the paper's
baseline gave its critic soft or sampled layouts is not known: `gumbel_temperature` switches. Added:
an average of the generator's weights.
"""

from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.layouts.common.activation import plain
from synth.layouts.common.entry import Entry
from synth.layouts.common.grids import Levels
from synth.layouts.common.grown import (
    GrownParams,
    adam,
    alternate,
    average,
    conv_generator,
    draw_whole,
    growth,
    latent,
    measure_whole,
    plain_whole,
    request_palettes,
    sample_whole,
    shown,
    shown_real,
)
from synth.layouts.common.losses import Blur, gradient_penalty
from synth.layouts.common.progressive import Critic, EqualLinear
from synth.layouts.common.rounding import Rounding
from synth.training.method import Given, Losses, Progress, Span, computed, noise

SHOWN = 8  # channels that show the palette to the critic, as released


class Config(GrownParams):
    """Section `layouts.cgan` of `params.yaml`."""

    gumbel_temperature: float | None = Field(gt=0)
    blur: Blur
    rounding: Rounding  # `balanced` meets every palette, learnt or not


@dataclass(frozen=True)
class ConditionalGan:
    """The method: networks `G` and `D`, schedule and losses."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels

    generators, critics = ("G",), ("D",)
    optimizers, kept, noise_length = computed(adam), computed(average), computed(latent)
    phases = alternate
    request, whole, sample = request_palettes, plain_whole, sample_whole

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made is what the critic is shown of layouts."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        G, D = self.nets["G"], partial(self.nets["D"], level=level, alpha=alpha)
        count, device, config = len(batch.label), batch.label.device, self.config
        z = noise(rng, count, config.latent).to(device)
        asked = self.request(batch, rng)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            soft = G(z, asked, level=level, alpha=alpha)[-1].soft
            fake = shown(self, soft, rng)
            made.append(fake)
            return {"adversarial": -D(fake, asked).float().mean()}

        def critic_loss() -> dict[str, Tensor]:
            fake, real = made[0].detach(), shown_real(self, batch.label, level)
            has = real.mean((2, 3))
            scores = D(torch.cat([fake, real]), torch.cat([asked, has])).float()
            wasserstein = scores[:count].mean() - scores[count:].mean()
            # Between real and fake the critic is shown the palette of the real layout, as released.
            penalty = gradient_penalty(lambda layout: D(layout, has), real, fake, rng)
            return {"wasserstein": wasserstein, "penalty": config.penalty_weight * penalty}

        return Losses(generator_loss, critic_loss, made)


class PaletteCritic(nn.Module):
    """Critic that is shown a palette: 8 learnt mixtures of its shares, at every pixel."""

    def __init__(self, num_classes: int, *, levels: Levels) -> None:
        """Build the linear layer and the critic of C + 8 channels."""
        super().__init__()
        self.show = EqualLinear(num_classes, SHOWN)
        self.critic = Critic(num_classes + SHOWN, levels=levels)

    def forward(self, soft: Tensor, share: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        """Score layouts `[B, C, h, w]` at the grid of `level` under palettes `[B, C]`: `[B]`."""
        shown = self.show(share)[:, :, None, None].expand(-1, -1, *soft.shape[2:])
        return self.critic(torch.cat([soft, shown.to(soft.dtype)], 1), level=level, alpha=alpha)


def build(config: Config, given: Given) -> ConditionalGan:
    """Build the method; raises what `growth` does."""
    grown = growth(config, given)
    nets = nn.ModuleDict(
        {
            "G": conv_generator(config, given, grown, activate=plain),
            "D": PaletteCritic(given.num_classes, levels=grown.levels),
        }
    )
    return ConditionalGan(config, given, nets, grown.spans, grown.sizes)


ENTRY = Entry(Config, build, draw_whole, measure_whole, follows_palette=True)
