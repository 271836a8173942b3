"""Semantic Palette's partial editor (CVPR 2021): a vertical band of a real layout is made anew.

A progressive generator of SPADE blocks sees the layout with the band unknown and the palette of
what was removed; one more class, "keep", re-emits the input. Whatever it does to the kept pixels,
a drawn pair has the real label outside the band. Trained with `masks` for it, the editor also
removes classes and lets classes grow (`synth/layouts/common/editing.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from data.stage.params import Params
from synth.layouts.common.activation import Activation, assisted_present
from synth.layouts.common.losses import (
    Blur,
    blur_line,
    critic_terms,
    entropy,
    over_scales,
    real_layout,
    soften,
    spread,
)
from synth.layouts.common.masks import (
    Edit,
    MaskKind,
    band_of,
    merge,
    novelty,
    remove,
    training_edit,
)
from synth.layouts.common.progressive import (
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
from synth.nets.layers import Condition, ModulatedBlock, Spade, set_gain
from synth.palettes.palette import PaletteModel
from synth.training.method import (
    AdamConfig,
    Drawn,
    Losses,
    Phase,
    Progress,
    Span,
    noise,
    rand,
    randn,
)

FOLLOWS_PALETTE = False


class Config(Params):
    """Section `layouts.partial_palette` of `params.yaml`."""

    latent: int = Field(512, ge=1)
    width: int = Field(512, ge=4)
    taper_from: int = Field(4, ge=1)
    hidden: int = Field(128, ge=1)
    init_gain: float = Field(1.0, gt=0)  # 0.02 as released: blind to the layout for long
    levels: tuple[Level, ...]
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    min_band: float = Field(0.5, gt=0, le=1)
    masks: dict[MaskKind, float] = Field({"band": 1.0})  # shares of the training samples
    penalty_weight: float = Field(10.0, ge=0)
    entropy_weight: float = Field(1.0, ge=0)
    merged_entropy_weight: float = Field(1.0, ge=0)
    spread_weight: float = Field(1.0, ge=0)
    novelty_weight: float = Field(1.0, ge=0)  # only with `switch` among the masks
    pixel_norm: PixelNormKind = "rms"
    joint: JointKind = "bias"
    mask_gain: float = Field(1.0, gt=0)
    blur: Blur = "symmetric"
    rounding: Rounding = "balanced"

    @field_validator("masks")
    @classmethod
    def _shares(cls, masks: dict[MaskKind, float]) -> dict[MaskKind, float]:
        if min(masks.values(), default=-1) < 0 or abs(sum(masks.values()) - 1) > 1e-6:
            raise ValueError("shares of band, classes and switch are 0 or more and sum to 1")
        return masks


@dataclass(frozen=True)
class PartialPalette:
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
    min_band: float
    masks: Mapping[MaskKind, float]
    penalty_weight: float
    entropy_weight: float
    merged_entropy_weight: float
    spread_weight: float
    novelty_weight: float
    blur: Blur
    rounding: Rounding

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One generator step, then one critic step on the merged layouts made before it."""
        losses = self.losses(batch, progress)
        yield Phase("G", losses.generator, train=("G",))
        yield Phase("D", losses.critic, train=("D",))

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are merged layouts at the level's grid."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        G, D = self.nets["G"], self.nets["D"]
        real = real_layout(batch.label, self.num_classes, self.sizes[level])
        edit = self._edit(real, rng)
        z = noise(rng, len(real), self.latent).to(real.device)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            condition = Condition(edit.layout)
            scales = G(z, edit.share, level=level, alpha=alpha, layout=condition)
            merged = [
                Activation(merge(scale.soft, condition.at(scale.soft.shape[-2:])), scale.mask)
                for scale in scales
            ]
            made.append(merged[-1].soft)
            weight = self.merged_entropy_weight
            terms = {
                "adversarial": -D(merged[-1].soft, level=level, alpha=alpha).float().mean(),
                "entropy": self.entropy_weight * over_scales(scales, lambda s: entropy(s.soft)),
                "merged_entropy": weight * over_scales(merged, lambda s: entropy(s.soft)),
                "spread": self.spread_weight * over_scales(scales, lambda s: spread(s.mask)),
            }
            if self.masks.get("switch", 0):
                wasted = over_scales(
                    scales, lambda s: novelty(s.soft, condition.at(s.soft.shape[-2:]), edit)
                )
                terms["novelty"] = self.novelty_weight * wasted
            return terms

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

    def condition(self, batch: Batch, rng: torch.Generator) -> Edit:
        """Edit every layout of a batch as in training, at full size."""
        return self._edit(onehot(batch.label, self.num_classes), rng)

    def sample(
        self, nets: nn.ModuleDict, condition: Edit, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw merged soft layouts `[B, C, H, W]` for full-size edits, one generator each."""
        return merge(self.raw(nets, condition, randn(rngs, (self.latent,))), condition.layout)

    def raw(self, nets: nn.ModuleDict, edit: Edit, z: Tensor) -> Tensor:
        """Make soft layouts `[B, C + 1, H, W]`, the last class is "keep", from z `[B, latent]`."""
        layout, level = Condition(edit.layout), len(self.sizes) - 1
        z = z.to(edit.layout.device)
        return enlarge(nets["G"](z, edit.share, level=level, layout=layout)[-1].soft, self.size)

    def _edit(self, layout: Tensor, rng: torch.Generator) -> Edit:
        return training_edit(
            layout, self.masks, min_band=self.min_band, palettes=self.palettes, rng=rng
        )


class EditBlock(nn.Module):
    """One SPADE residual block, conditioned on the layout with its band unknown (section 3.1)."""

    def __init__(
        self, inputs: int, outputs: int, num_classes: int, hidden: int, init_gain: float
    ) -> None:
        """Build the block; its norms are batch norms without their own scale."""
        super().__init__()
        self.block = ModulatedBlock(inputs, outputs, lambda c: Spade(c, num_classes, hidden))
        set_gain(self.block, init_gain)

    def forward(self, x: Tensor, layout: Condition) -> Tensor:
        """Features -> features of the same size."""
        return self.block(x, layout)


def build(
    *,
    num_classes: int,
    size: tuple[int, int],
    palettes: PaletteModel,
    latent: int,
    width: int,
    taper_from: int,
    hidden: int,
    init_gain: float,
    levels: Sequence[Level],
    lr: float,
    betas: tuple[float, float],
    ema_decay: float,
    min_band: float,
    masks: Mapping[MaskKind, float],
    penalty_weight: float,
    entropy_weight: float,
    merged_entropy_weight: float,
    spread_weight: float,
    novelty_weight: float,
    pixel_norm: PixelNormKind,
    joint: JointKind,
    mask_gain: float,
    blur: Blur,
    rounding: Rounding,
) -> PartialPalette:
    """Build the method for layouts of `size` (height, width).

    Only the switches among the `masks` look at `palettes`: the target of a band is the histogram of
    what was removed. Raises `UserError` for a size that does not halve to a base grid. With fewer
    `levels` than the size has, layouts are grown up to the last one and enlarged from there.
    """
    spans = spans_of(levels, len(grids(size)))
    sizes = grids(size)[: len(levels)]
    channels = channel_table(width, taper_from, len(sizes))
    pairs = zip([channels[0], *channels], channels, strict=False)
    nets = nn.ModuleDict(
        {
            "G": Generator(
                [EditBlock(a, b, num_classes, hidden, init_gain) for a, b in pairs],
                channels=channels,
                base=sizes[0],
                latent=latent,
                num_masks=num_classes + 1,
                activate=assisted_present,
                joint=joint,
                mask_gain=mask_gain,
                norm=pixel_norm,
                normalised_stem=False,
            ),
            "D": Critic(num_classes, channels=channels, base=sizes[0]),
        }
    )
    return PartialPalette(
        nets=nets,
        optimizers={name: AdamConfig(lr=lr, betas=betas) for name in nets},
        spans=spans,
        ema={"G": ema_decay},
        size=size,
        sizes=tuple(sizes),
        num_classes=num_classes,
        latent=latent,
        palettes=palettes,
        min_band=min_band,
        masks=masks,
        penalty_weight=penalty_weight,
        entropy_weight=entropy_weight,
        merged_entropy_weight=merged_entropy_weight,
        spread_weight=spread_weight,
        novelty_weight=novelty_weight,
        blur=blur,
        rounding=rounding,
    )


def draw(
    method: PartialPalette,
    nets: nn.ModuleDict,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Remake a random band of each real label `[B, H, W]`; `palette` is not looked at."""
    places = rand(rngs, (2,)).to(real.device)
    band = band_of(places, method.size, method.min_band)
    return draw_band(method, nets, real=real, band=band, z=randn(rngs, (method.latent,)))


def draw_band(
    method: PartialPalette, nets: nn.ModuleDict, *, real: Tensor, band: Tensor, z: Tensor
) -> Drawn:
    """Remake `band`, bool `[B, H, W]`, from noise z; outside the label stays, pixel for pixel.

    `target` `[B, C]` is for the whole image: what is kept plus what was removed, hence the palette
    of the real label. `edited` is the band.
    """
    layout = onehot(real, method.num_classes)
    edit = remove(layout, band)
    target = layout.mean((2, 3))
    merged = merge(method.raw(nets, edit, z), edit.layout)
    soft = torch.where(band[:, None], merged, layout)
    label = torch.where(band, round_layout(soft, target, method.rounding), real)
    return Drawn(label=label, target=target, edited=band, derived=True)


def measures(method: PartialPalette, nets: nn.ModuleDict) -> dict[str, float]:
    """Measure nothing: the editor is asked for a band's palette, not for an image's."""
    return {}
