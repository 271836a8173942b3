"""Semantic Palette (Le Moing et al., CVPR 2021): whole layouts from noise and a target palette.

Progressive WGAN-GP with semantically-assisted activation, entropy and spread losses at every scale.
Differences from the released code, all switchable: pixel norm with its root, feedback that does
not halve the features, a centred blur. Added: an average of the generator's weights.
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
from synth.layouts.common.activation import assisted, without_traces
from synth.layouts.common.losses import (
    Blur,
    blur_line,
    critic_terms,
    entropy,
    kl_argmax,
    over_scales,
    real_layout,
    soften,
    spread,
)
from synth.layouts.common.progressive import (
    ConvBlock,
    Critic,
    Generator,
    JointKind,
    PixelNormKind,
    channel_table,
    enlarge,
    grids,
)
from synth.layouts.common.rounding import Rounding, round_layout
from synth.layouts.common.schedule import Level, spans_of
from synth.palettes.palette import PaletteModel
from synth.training.method import (
    AdamConfig,
    Drawn,
    Losses,
    Phase,
    Progress,
    Span,
    noise,
    randn,
    rows,
)

FOLLOWS_PALETTE = True


class Config(Params):
    """Section `layouts.semantic_palette` of `params.yaml`."""

    latent: int = Field(512, ge=1)
    width: int = Field(512, ge=4)
    taper_from: int = Field(4, ge=1)
    levels: tuple[Level, ...]
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    penalty_weight: float = Field(10.0, ge=0)
    entropy_weight: float = Field(1.0, ge=0)
    spread_weight: float = Field(1.0, ge=0)
    pixel_norm: PixelNormKind = "rms"
    joint: JointKind = "bias"
    mask_gain: float = Field(1.0, gt=0)
    blur: Blur = "symmetric"
    rounding: Rounding = "balanced"
    filter_palette: bool = False


@dataclass(frozen=True)
class SemanticPalette:
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
    entropy_weight: float
    spread_weight: float
    blur: Blur
    rounding: Rounding
    filter_palette: bool

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One generator step, then one critic step on the layouts made before it (section 2.5)."""
        losses = self.losses(batch, progress)
        yield Phase("G", losses.generator, train=("G",))
        yield Phase("D", losses.critic, train=("D",))

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are soft layouts at the grid of the level."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        G, D = self.nets["G"], self.nets["D"]
        count, device = len(batch.label), batch.label.device
        z = noise(rng, count, self.latent).to(device)
        share = self._share(self.condition(batch, rng), level)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            scales = G(z, share, level=level, alpha=alpha)
            made.append(scales[-1].soft)
            return {
                "adversarial": -D(scales[-1].soft, level=level, alpha=alpha).float().mean(),
                "entropy": self.entropy_weight * over_scales(scales, lambda s: entropy(s.soft)),
                "spread": self.spread_weight * over_scales(scales, lambda s: spread(s.mask)),
            }

        def critic_loss() -> dict[str, Tensor]:
            return critic_terms(
                lambda layout: D(layout, level=level, alpha=alpha),
                self.real(batch.label, self.sizes[level]),
                made[0].detach(),
                weight=self.penalty_weight,
                rng=rng,
            )

        return Losses(generator_loss, critic_loss, made)

    def real(self, label: Tensor, size: tuple[int, int]) -> Tensor:
        """Return real layouts `[B, C, h, w]` as the critic sees them: blurred."""
        layout = real_layout(label, self.num_classes, size)
        return soften(layout, line=blur_line(min(size), kind=self.blur))

    def full(self, made: Tensor) -> Tensor:
        """Enlarge made layouts to the size of the pairs, for a painter."""
        return enlarge(made, self.size)

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
        level = len(self.sizes) - 1
        z = randn(rngs, (self.latent,)).to(condition.device)
        soft = nets["G"](z, self._share(condition, level), level=level)[-1].soft
        return enlarge(soft, self.size)

    def _share(self, palette: Tensor, level: int) -> Tensor:
        height, width = self.sizes[level]
        return without_traces(palette, height * width) if self.filter_palette else palette


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
    entropy_weight: float,
    spread_weight: float,
    pixel_norm: PixelNormKind,
    joint: JointKind,
    mask_gain: float,
    blur: Blur,
    rounding: Rounding,
    filter_palette: bool,
) -> SemanticPalette:
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
                activate=assisted,
                joint=joint,
                mask_gain=mask_gain,
                norm=pixel_norm,
                normalised_stem=True,
            ),
            "D": Critic(num_classes, channels=channels, base=sizes[0]),
        }
    )
    return SemanticPalette(
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
        entropy_weight=entropy_weight,
        spread_weight=spread_weight,
        blur=blur,
        rounding=rounding,
        filter_palette=filter_palette,
    )


def draw(
    method: SemanticPalette,
    nets: nn.ModuleDict,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Draw labels for palettes `[B, C]`; `real` is not looked at, `target` is the palette."""
    label = round_layout(method.sample(nets, palette, rngs), palette, method.rounding)
    return Drawn(label=label, target=palette, edited=None, derived=False)


def measures(method: SemanticPalette, nets: nn.ModuleDict) -> dict[str, float]:
    """Measure `kl_argmax`: asked palettes against argmax layouts, before rounding."""
    device = next(nets["G"].parameters()).device
    return {"kl_argmax": kl_argmax(partial(method.sample, nets), method.palettes, device)}
