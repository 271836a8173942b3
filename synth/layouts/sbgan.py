"""SB-GAN's layout generator (Azadi et al., 2019): whole layouts from noise alone.

Progressive WGAN-GP whose fakes are sampled per pixel by Gumbel-softmax, straight-through; real
layouts are one-hot. No palette is asked for, nothing but the critic speaks. Also the layouts of
PCGAN in Semantic Palette's tables, which differ in their painter. Differences from the released
code, both switchable: pixel norm with its root, and levels that fade in. Added: an average of the
generator's weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from data.pairs.batches import Batch
from data.stage.params import Params
from synth.layouts.common.activation import gumbel_onehot, plain
from synth.layouts.common.losses import critic_terms, real_layout
from synth.layouts.common.progressive import (
    ConvBlock,
    Critic,
    Generator,
    PixelNormKind,
    channel_table,
    enlarge,
    grids,
)
from synth.layouts.common.schedule import Level, spans_of
from synth.palettes.palette import PaletteModel
from synth.training.method import AdamConfig, Drawn, Losses, Phase, Progress, Span, noise, randn

FOLLOWS_PALETTE = False

# `released`: its fade shows the new level alone, a second stable phase.
Fade = Literal["blended", "released"]


class Config(Params):
    """Section `layouts.sbgan` of `params.yaml`."""

    latent: int = Field(512, ge=1)
    width: int = Field(512, ge=4)
    taper_from: int = Field(4, ge=1)
    levels: tuple[Level, ...]
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    penalty_weight: float = Field(10.0, ge=0)
    gumbel_temperature: float = Field(1.0, gt=0)
    pixel_norm: PixelNormKind = "rms"
    mask_gain: float = Field(1.0, gt=0)
    fade: Fade = "blended"


@dataclass(frozen=True)
class Sbgan:
    """The method: networks `G` and `D`, schedule and losses."""

    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    ema: Mapping[str, float]
    size: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels
    num_classes: int
    latent: int
    penalty_weight: float
    gumbel_temperature: float
    fade: Fade

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One generator step, then one critic step on layouts of fresh noise, as released."""
        losses = self.losses(batch, progress)
        yield Phase("G", losses.generator, train=("G",))
        yield Phase("D", losses.critic, train=("D",))

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are drawn classes at the level's grid."""
        level, rng = progress.level, progress.rng
        alpha = progress.alpha if self.fade == "blended" else 1.0
        G, D = self.nets["G"], partial(self.nets["D"], level=level, alpha=alpha)
        count, device = len(batch.label), batch.label.device
        made: list[Tensor] = []

        def fake() -> Tensor:
            z = noise(rng, count, self.latent).to(device)
            soft = G(z, _nothing(z), level=level, alpha=alpha)[-1].soft
            return gumbel_onehot(soft, self.gumbel_temperature, rng)

        def generator_loss() -> dict[str, Tensor]:
            made.append(fake())
            return {"adversarial": -D(made[0]).float().mean()}

        def critic_loss() -> dict[str, Tensor]:
            real = self.real(batch.label, self.sizes[level])
            return critic_terms(D, real, fake().detach(), weight=self.penalty_weight, rng=rng)

        return Losses(generator_loss, critic_loss, made)

    def real(self, label: Tensor, size: tuple[int, int]) -> Tensor:
        """Return real layouts `[B, C, h, w]` as the critic sees them: one-hot."""
        return real_layout(label, self.num_classes, size)

    def full(self, made: Tensor) -> Tensor:
        """Enlarge drawn classes to the size of the pairs by repeating pixels, for a painter."""
        return F.interpolate(made, size=self.size)

    def condition(self, batch: Batch, rng: torch.Generator) -> None:
        """Return None: nothing is asked for."""

    def sample(
        self, nets: nn.ModuleDict, condition: None, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw soft layouts `[B, C, H, W]`, one per generator."""
        z = randn(rngs, (self.latent,)).to(next(nets["G"].parameters()).device)
        soft = nets["G"](z, _nothing(z), level=len(self.sizes) - 1)[-1].soft
        return enlarge(soft, self.size)


def _nothing(z: Tensor) -> Tensor:
    return z[:, :0]  # the palette of a generator that is given none


def build(
    *,
    num_classes: int,
    size: tuple[int, int],
    palettes: PaletteModel,
    latent: int,
    width: int,
    taper_from: int,
    levels: Sequence[Level],
    lr: float,
    betas: tuple[float, float],
    ema_decay: float,
    penalty_weight: float,
    gumbel_temperature: float,
    pixel_norm: PixelNormKind,
    mask_gain: float,
    fade: Fade,
) -> Sbgan:
    """Build the method for layouts of `size` (height, width).

    `palettes` is not looked at. Raises `UserError` for a size that does not halve to a base grid.
    With fewer `levels` than the size has, layouts are grown up to the last one and enlarged from
    there.
    """
    spans = spans_of(levels, len(grids(size)))
    sizes = grids(size)[: len(levels)]
    channels = channel_table(width, taper_from, len(sizes))
    blocks = [ConvBlock(None, channels[0], pixel_norm)]
    blocks += [ConvBlock(a, b, pixel_norm) for a, b in pairwise(channels)]
    nets = nn.ModuleDict(
        {
            "G": Generator(
                blocks,
                channels=channels,
                base=sizes[0],
                latent=latent,
                palette_size=0,
                num_masks=num_classes,
                activate=plain,
                joint=None,
                mask_gain=mask_gain,
                norm=pixel_norm,
                normalised_stem=True,
            ),
            "D": Critic(num_classes, channels=channels, base=sizes[0]),
        }
    )
    return Sbgan(
        nets=nets,
        optimizers={name: AdamConfig(lr=lr, betas=betas) for name in nets},
        spans=spans,
        ema={"G": ema_decay},
        size=size,
        sizes=tuple(sizes),
        num_classes=num_classes,
        latent=latent,
        penalty_weight=penalty_weight,
        gumbel_temperature=gumbel_temperature,
        fade=fade,
    )


def draw(
    method: Sbgan,
    nets: nn.ModuleDict,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Draw the likeliest labels; `palette` and `real` are not looked at, so there is no target."""
    label = method.sample(nets, None, rngs).argmax(1)
    return Drawn(label=label, target=None, edited=None, derived=False)


def measures(method: Sbgan, nets: nn.ModuleDict) -> dict[str, float]:
    """Measure nothing: KL is against a palette that was asked for, and none was."""
    return {}
