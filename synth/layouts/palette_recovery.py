"""Baseline 2 of Semantic Palette (CVPR 2021): the palette is recovered from the layout.

The palette stands beside the noise, the critic sees layouts only, and a penalty draws the mean of
every soft layout towards the palette that was asked for (mode `sem_recover` of the released code,
in the manner of AC-GAN). Growth, blocks, WGAN-GP and Adam are those of `semantic_palette`; the last
layer is the softmax of every pixel. Whether the paper's baseline gave its critic soft or sampled
layouts is not known: `gumbel_temperature` switches. Added: an average of the generator's weights.
"""

from dataclasses import dataclass
from functools import partial

from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.layouts.common.activation import plain
from synth.layouts.common.entry import Entry
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
from synth.layouts.common.losses import Blur, critic_terms, recovery
from synth.layouts.common.rounding import Rounding
from synth.training.method import Given, Losses, Progress, Span, computed, noise


class Config(GrownParams):
    """Section `layouts.palette_recovery` of `params.yaml`."""

    recovery_weight: float = Field(ge=0)
    gumbel_temperature: float | None = Field(gt=0)
    blur: Blur
    rounding: Rounding  # `balanced` meets every palette, learnt or not


@dataclass(frozen=True)
class PaletteRecovery:
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
        config = self.config
        z = noise(rng, len(batch.label), config.latent).to(batch.label.device)
        asked = self.request(batch, rng)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            soft = G(z, asked, level=level, alpha=alpha)[-1].soft
            fake = shown(self, soft, rng)
            made.append(fake)
            return {
                "adversarial": -D(fake).float().mean(),
                "recovery": config.recovery_weight * recovery(soft, asked),
            }

        def critic_loss() -> dict[str, Tensor]:
            real = shown_real(self, batch.label, level)
            return critic_terms(D, real, made[0].detach(), weight=config.penalty_weight, rng=rng)

        return Losses(generator_loss, critic_loss, made)


def build(config: Config, given: Given) -> PaletteRecovery:
    """Build the method; raises what `growth` does."""
    grown = growth(config, given)
    nets = nn.ModuleDict(
        {
            "G": conv_generator(config, given, grown, activate=plain),
            "D": grown.critic(given.num_classes),
        }
    )
    return PaletteRecovery(config, given, nets, grown.spans, grown.sizes)


ENTRY = Entry(Config, build, draw_whole, measure_whole, follows_palette=True)
