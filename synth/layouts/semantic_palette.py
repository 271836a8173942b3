"""Semantic Palette (Le Moing et al., CVPR 2021): whole layouts from noise and a target palette.

Progressive WGAN-GP with semantically-assisted activation, entropy and spread losses at every scale.
Differences from the released code, all switchable: pixel norm with its root, feedback that does
not halve the features, a centred blur. Added: an average of the generator's weights.
"""

from dataclasses import dataclass
from functools import partial

from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.layouts.common.activation import Activation, assisted, without_traces
from synth.layouts.common.entry import Entry
from synth.layouts.common.grown import (
    GrownParams,
    adam,
    alternate,
    average,
    conv_generator,
    draw_whole,
    full_enlarged,
    growth,
    latent,
    measure_whole,
    real_blurred,
    request_palettes,
    sample_whole,
)
from synth.layouts.common.losses import (
    Blur,
    critic_terms,
    entropy,
    over_scales,
    spread,
)
from synth.layouts.common.progressive import JointKind
from synth.layouts.common.rounding import Rounding
from synth.training.method import Given, Losses, Progress, Span, computed, noise


class Config(GrownParams):
    """Section `layouts.semantic_palette` of `params.yaml`."""

    entropy_weight: float = Field(ge=0)
    spread_weight: float = Field(ge=0)
    sinkhorn: int = Field(ge=0)  # steps
    joint: JointKind
    blur: Blur
    rounding: Rounding
    filter_palette: bool


@dataclass(frozen=True)
class SemanticPalette:
    """The method: networks `G` and `D`, schedule and losses."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels

    generators, critics = ("G",), ("D",)
    optimizers, kept, noise_length = computed(adam), computed(average), computed(latent)
    phases = alternate  # section 2.5
    request, sample = request_palettes, sample_whole
    real, full = real_blurred, full_enlarged

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are soft layouts at the grid of the level."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        G, D = self.nets["G"], partial(self.nets["D"], level=level, alpha=alpha)
        config = self.config
        z = noise(rng, len(batch.label), config.latent).to(batch.label.device)
        share = self._share(self.request(batch, rng), level)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            scales = G(z, share, level=level, alpha=alpha)
            made.append(scales[-1].soft)
            return {
                "adversarial": -D(scales[-1].soft).float().mean(),
                "entropy": config.entropy_weight * over_scales(scales, lambda s: entropy(s.soft)),
                "spread": config.spread_weight * over_scales(scales, lambda s: spread(s.mask)),
            }

        def critic_loss() -> dict[str, Tensor]:
            real = self.real(batch.label, self.sizes[level])
            return critic_terms(D, real, made[0].detach(), weight=config.penalty_weight, rng=rng)

        return Losses(generator_loss, critic_loss, made)

    def whole(self, nets: nn.ModuleDict, z: Tensor, palette: Tensor) -> Activation:
        """Make layouts at the finest trained grid from noise `[B, latent]`, palettes `[B, C]`."""
        level = len(self.sizes) - 1
        return nets["G"](z, self._share(palette, level), level=level)[-1]

    def _share(self, palette: Tensor, level: int) -> Tensor:
        height, width = self.sizes[level]
        return without_traces(palette, height * width) if self.config.filter_palette else palette


def build(config: Config, given: Given) -> SemanticPalette:
    """Build the method; raises what `growth` does."""
    grown = growth(config, given)
    activate = partial(assisted, steps=config.sinkhorn)
    nets = nn.ModuleDict(
        {
            "G": conv_generator(config, given, grown, activate=activate, joint=config.joint),
            "D": grown.critic(given.num_classes),
        }
    )
    return SemanticPalette(config, given, nets, grown.spans, grown.sizes)


ENTRY = Entry(Config, build, draw_whole, measure_whole, follows_palette=True, joins=True)
