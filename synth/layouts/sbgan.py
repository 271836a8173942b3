"""SB-GAN's layout generator (Azadi et al., 2019): whole layouts from noise alone.

Progressive WGAN-GP whose fakes are sampled per pixel by Gumbel-softmax, straight-through; real
layouts are one-hot. No palette is asked for, nothing but the critic speaks. Also the layouts of
PCGAN in Semantic Palette's tables, which differ in their painter. Differences from the released
code, both switchable: pixel norm with its root, and levels that fade in. Added: an average of the
generator's weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from data.pairs.batches import Batch
from synth.layouts.common.activation import gumbel_onehot, plain
from synth.layouts.common.entry import Entry
from synth.layouts.common.finish import finished
from synth.layouts.common.grown import (
    GrownParams,
    adam,
    alternate,
    average,
    conv_generator,
    growth,
)
from synth.layouts.common.losses import critic_terms, real_layout
from synth.training.method import (
    Drawn,
    Given,
    Losses,
    Progress,
    Span,
    computed,
    noise,
    randn,
)

# `released`: its fade shows the new level alone, a second stable phase.
Fade = Literal["blended", "released"]


class Config(GrownParams):
    """Section `layouts.sbgan` of `params.yaml`."""

    gumbel_temperature: float = Field(gt=0)
    fade: Fade


@dataclass(frozen=True)
class Sbgan:
    """The method: networks `G` and `D`, schedule and losses."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases = alternate

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are drawn classes at the level's grid.

        The critic judges layouts of fresh noise, as released.
        """
        level, rng, config = progress.level, progress.rng, self.config
        alpha = progress.alpha if config.fade == "blended" else 1.0
        G, D = self.nets["G"], partial(self.nets["D"], level=level, alpha=alpha)
        count, device = len(batch.label), batch.label.device
        made: list[Tensor] = []

        def fake() -> Tensor:
            z = noise(rng, count, config.latent).to(device)
            soft = G(z, _nothing(z), level=level, alpha=alpha)[-1].soft
            return gumbel_onehot(soft, config.gumbel_temperature, rng)

        def generator_loss() -> dict[str, Tensor]:
            made.append(fake())
            return {"adversarial": -D(made[0]).float().mean()}

        def critic_loss() -> dict[str, Tensor]:
            real = self.real(batch.label, self.sizes[level])
            return critic_terms(D, real, fake().detach(), weight=config.penalty_weight, rng=rng)

        return Losses(generator_loss, critic_loss, made)

    def real(self, label: Tensor, size: tuple[int, int]) -> Tensor:
        """Return real layouts `[B, C, h, w]` as the critic sees them: one-hot."""
        return real_layout(label, self.given.num_classes, size)

    def full(self, made: Tensor) -> Tensor:
        """Enlarge drawn classes `[B, C, h, w]` by repeating pixels to the size of the pairs."""
        return F.interpolate(made, size=self.given.size)

    def request(self, batch: Batch, rng: torch.Generator) -> None:
        """Return None: nothing is asked for."""

    def sample(self, nets: nn.ModuleDict, request: None, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw soft layouts `[B, C, H, W]`, one per generator."""
        z = randn(rngs, (self.config.latent,)).to(next(nets["G"].parameters()).device)
        soft = nets["G"](z, _nothing(z), level=len(self.sizes) - 1)[-1].soft
        return finished(soft, self.given.size, self.config.cell)


def _nothing(z: Tensor) -> Tensor:
    return z[:, :0]  # the palette of a generator that is given none


def build(config: Config, given: Given) -> Sbgan:
    """Build the method; raises what `growth` does, and looks at no palettes."""
    grown = growth(config, given)
    nets = nn.ModuleDict(
        {
            "G": conv_generator(config, given, grown, activate=plain, palette_size=0),
            "D": grown.critic(given.num_classes),
        }
    )
    return Sbgan(config, given, nets, grown.spans, grown.sizes)


def draw(
    method: Sbgan,
    nets: nn.ModuleDict,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Draw the likeliest labels `[B, H, W]`; `palette` and `real` are not looked at: no target."""
    label = method.sample(nets, None, rngs).argmax(1)
    return Drawn(label=label, target=None, edited=None)


# nothing to measure: KL is against a palette that was asked for, and none was
ENTRY = Entry(Config, build, draw, joins=True)
