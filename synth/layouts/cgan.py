"""Baseline 1 of Semantic Palette (CVPR 2021): a conditional GAN that is told the palette.

The palette stands beside the noise and is shown to the critic, nothing else asks for it (Mirza and
Osindero, 2014; mode `original_cgan` of the released code). Growth, blocks, WGAN-GP and Adam are
those of `semantic_palette`; the last layer is the softmax of every pixel. Whether the paper's
baseline gave its critic soft or sampled layouts is not known: `gumbel_temperature` switches. Added:
an average of the generator's weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from data.stage.params import Params
from synth.layouts.common.activation import gumbel_onehot, plain
from synth.layouts.common.losses import (
    Blur,
    blur_line,
    gradient_penalty,
    kl_argmax,
    real_layout,
    soften,
)
from synth.layouts.common.progressive import (
    ConvBlock,
    Critic,
    EqualLinear,
    Generator,
    PixelNormKind,
    channel_table,
    enlarge,
    grids,
)
from synth.layouts.common.rounding import Rounding, round_layout
from synth.layouts.common.schedule import Level, spans_of
from synth.palettes.palette import PaletteModel
from synth.training.method import AdamConfig, Drawn, Phase, Progress, Span, noise, randn, rows

FOLLOWS_PALETTE = True
SHOWN = 8  # channels that show the palette to the critic, as released


class Config(Params):
    """Section `layouts.cgan` of `params.yaml`."""

    latent: int = Field(512, ge=1)
    width: int = Field(512, ge=4)
    taper_from: int = Field(4, ge=1)
    levels: tuple[Level, ...]
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    penalty_weight: float = Field(10.0, ge=0)
    pixel_norm: PixelNormKind = "rms"
    mask_gain: float = Field(1.0, gt=0)
    gumbel_temperature: float | None = Field(None, gt=0)
    blur: Blur = "symmetric"
    rounding: Rounding = "argmax"  # `balanced` meets every palette, learnt or not


@dataclass(frozen=True)
class ConditionalGan:
    """The method: networks `G` and `D`, schedule and losses."""

    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    ema: Mapping[str, float]
    size: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels
    num_classes: int
    latent: int
    palettes: PaletteModel
    penalty_weight: float
    gumbel_temperature: float | None
    blur: Blur
    rounding: Rounding

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One generator step, then one critic step on the layouts made before it."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        G, D = self.nets["G"], partial(self.nets["D"], level=level, alpha=alpha)
        count, device = len(batch.label), batch.label.device
        z = noise(rng, count, self.latent).to(device)
        asked = self.condition(batch, rng)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            fake = self._discretized(G(z, asked, level=level, alpha=alpha)[-1].soft, rng)
            made.append(fake.detach())
            return {"adversarial": -D(fake, asked).float().mean()}

        def critic_loss() -> dict[str, Tensor]:
            (fake,), real = made, self._real(batch.label, level)
            shown = real.mean((2, 3))
            scores = D(torch.cat([fake, real]), torch.cat([asked, shown])).float()
            wasserstein = scores[:count].mean() - scores[count:].mean()
            # Between real and fake the critic is shown the palette of the real layout, as released.
            penalty = gradient_penalty(lambda layout: D(layout, shown), real, fake, rng)
            return {"wasserstein": wasserstein, "penalty": self.penalty_weight * penalty}

        yield Phase("G", generator_loss, train=("G",))
        yield Phase("D", critic_loss, train=("D",))

    def condition(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Draw target palettes `[B, C]`, as many as the batch has pairs."""
        seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
        count, sample = len(batch.label), self.palettes.sample
        asked = rows(rng, count, lambda n: torch.from_numpy(sample(n, seed)))
        return asked.to(batch.label.device)

    def sample(
        self, nets: nn.ModuleDict, condition: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw soft layouts `[B, C, H, W]` for palettes `[B, C]`, one generator per layout."""
        z = randn(rngs, (self.latent,)).to(condition.device)
        soft = nets["G"](z, condition, level=len(self.sizes) - 1)[-1].soft
        return enlarge(soft, self.size)

    def _discretized(self, soft: Tensor, rng: torch.Generator) -> Tensor:
        temperature = self.gumbel_temperature
        return soft if temperature is None else gumbel_onehot(soft, temperature, rng)

    def _real(self, label: Tensor, level: int) -> Tensor:
        real = real_layout(label, self.num_classes, self.sizes[level])
        if self.gumbel_temperature is not None:
            return real  # fakes are one-hot too
        return soften(real, line=blur_line(min(self.sizes[level]), kind=self.blur))


class PaletteCritic(nn.Module):
    """Critic that is shown a palette: 8 learnt mixtures of its shares, at every pixel."""

    def __init__(self, num_classes: int, *, channels: Sequence[int], base: tuple[int, int]) -> None:
        """Build the linear layer and the critic of C + 8 channels."""
        super().__init__()
        self.show = EqualLinear(num_classes, SHOWN)
        self.critic = Critic(num_classes + SHOWN, channels=channels, base=base)

    def forward(self, soft: Tensor, share: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        """Score layouts `[B, C, h, w]` at the grid of `level` under palettes `[B, C]`: `[B]`."""
        shown = self.show(share)[:, :, None, None].expand(-1, -1, *soft.shape[2:])
        return self.critic(torch.cat([soft, shown.to(soft.dtype)], 1), level=level, alpha=alpha)


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
    pixel_norm: PixelNormKind,
    mask_gain: float,
    gumbel_temperature: float | None,
    blur: Blur,
    rounding: Rounding,
) -> ConditionalGan:
    """Build the method for layouts of `size` (height, width).

    Training draws its target palettes from `palettes`. Raises `UserError` for a size that does not
    halve to a base grid. With fewer `levels` than the size has, layouts are grown up to the last
    one and enlarged from there.
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
                num_masks=num_classes,
                activate=plain,
                joint=None,
                mask_gain=mask_gain,
                norm=pixel_norm,
                normalised_stem=True,
            ),
            "D": PaletteCritic(num_classes, channels=channels, base=sizes[0]),
        }
    )
    return ConditionalGan(
        nets=nets,
        optimizers={name: AdamConfig(lr=lr, betas=betas) for name in nets},
        spans=spans,
        ema={"G": ema_decay},
        size=size,
        sizes=tuple(sizes),
        num_classes=num_classes,
        latent=latent,
        palettes=palettes,
        penalty_weight=penalty_weight,
        gumbel_temperature=gumbel_temperature,
        blur=blur,
        rounding=rounding,
    )


def draw(
    method: ConditionalGan,
    nets: nn.ModuleDict,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Draw labels for palettes `[B, C]`; `real` is not looked at, `target` is the palette."""
    label = round_layout(method.sample(nets, palette, rngs), palette, method.rounding)
    return Drawn(label=label, target=palette, edited=None, derived=False)


def measures(method: ConditionalGan, nets: nn.ModuleDict) -> dict[str, float]:
    """Measure `kl_argmax` as for `semantic_palette`: asked palettes against argmax layouts."""
    device = next(nets["G"].parameters()).device
    return {"kl_argmax": kl_argmax(partial(method.sample, nets), method.palettes, device)}
