"""Semantic Palette (Le Moing et al., CVPR 2021): whole layouts from noise and a target palette.

Progressive WGAN-GP with semantically-assisted activation, entropy and spread losses at every scale.
Differences from the released code, all switchable: pixel norm with its root, feedback that does
not halve the features, a centred blur. Added: an average of the generator's weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.layouts.common.activation import Activation, assisted, without_traces
from synth.layouts.common.entry import Entry
from synth.layouts.common.grown import (
    GrownParams,
    adam,
    conv_generator,
    draw_whole,
    growth,
    measure_whole,
    sample_whole,
    target_palettes,
)
from synth.layouts.common.losses import (
    Blur,
    blurred_layout,
    critic_terms,
    entropy,
    over_scales,
    spread,
)
from synth.layouts.common.progressive import JointKind, enlarge
from synth.layouts.common.rounding import Rounding
from synth.training.method import AdamConfig, Given, Losses, Phase, Progress, Span, noise


class Config(GrownParams):
    """Section `layouts.semantic_palette` of `params.yaml`."""

    entropy_weight: float = Field(ge=0)
    spread_weight: float = Field(ge=0)
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
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels
    kept: Mapping[str, float]
    generators: tuple[str, ...] = ("G",)
    critics: tuple[str, ...] = ("D",)

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One generator step, then one critic step on the layouts made before it (section 2.5)."""
        losses = self.losses(batch, progress)
        yield Phase("G", losses.generator, train=("G",))
        yield Phase("D", losses.critic, train=("D",))

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

    def real(self, label: Tensor, size: tuple[int, int]) -> Tensor:
        """Return real layouts `[B, C, h, w]` as the critic sees them: blurred."""
        return blurred_layout(label, self.given.num_classes, size, self.config.blur)

    def full(self, made: Tensor) -> Tensor:
        """Enlarge made layouts to the size of the pairs, for a painter."""
        return enlarge(made, self.given.size)

    def request(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Draw target palettes `[B, C]`, as many as the batch has pairs."""
        return target_palettes(self.given.palettes, batch, rng)

    def sample(
        self, nets: nn.ModuleDict, request: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw soft layouts `[B, C, H, W]` for palettes `[B, C]`, one generator per layout."""
        return sample_whole(self, nets, request, rngs)

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
    nets = nn.ModuleDict(
        {
            "G": conv_generator(config, given, grown, activate=assisted, joint=config.joint),
            "D": grown.critic(given.num_classes),
        }
    )
    return SemanticPalette(
        config,
        given,
        nets,
        optimizers=adam(config, nets),
        spans=grown.spans,
        sizes=grown.sizes,
        kept={"G": config.ema_decay},
    )


ENTRY = Entry(Config, build, draw_whole, measure_whole, follows_palette=True, joins=True)
