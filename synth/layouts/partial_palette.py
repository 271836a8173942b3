"""Semantic Palette's partial editor (CVPR 2021): a vertical band of a real layout is made anew.

A progressive generator of SPADE blocks sees the layout with the band unknown and the palette of
what was removed; one more class, "keep", re-emits the input. Whatever it does to the kept pixels,
a drawn pair has the real label outside the band. Trained with `masks` for it, the editor also
removes classes and lets classes grow (`synth/layouts/common/editing.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from synth.layouts.common.activation import Activation, assisted_present
from synth.layouts.common.editing import with_band
from synth.layouts.common.entry import Entry
from synth.layouts.common.grown import (
    GrownParams,
    Growth,
    adam,
    alternate,
    average,
    full_enlarged,
    growth,
    real_blurred,
)
from synth.layouts.common.losses import (
    Blur,
    critic_terms,
    entropy,
    over_scales,
    real_layout,
    spread,
)
from synth.layouts.common.masks import Edit, MaskKind, band_of, merge, novelty, training_edit
from synth.layouts.common.progressive import Generator, JointKind, Stem, enlarge
from synth.layouts.common.rounding import Rounding
from synth.nets.layers import Condition, ModulatedBlock, Spade, set_gain
from synth.training.method import (
    Drawn,
    Given,
    Losses,
    Progress,
    Span,
    computed,
    noise,
    rand,
    randn,
)


class Config(GrownParams):
    """Section `layouts.partial_palette` of `params.yaml`."""

    hidden: int = Field(ge=1)
    init_gain: float = Field(gt=0)
    min_band: float = Field(gt=0, le=1)
    masks: dict[MaskKind, float]  # shares of the training samples
    entropy_weight: float = Field(ge=0)
    merged_entropy_weight: float = Field(ge=0)
    spread_weight: float = Field(ge=0)
    novelty_weight: float = Field(ge=0)  # only with `switch` among the masks
    joint: JointKind
    blur: Blur
    rounding: Rounding

    @field_validator("masks")
    @classmethod
    def _shares(cls, masks: dict[MaskKind, float]) -> dict[MaskKind, float]:
        if min(masks.values(), default=-1) < 0 or abs(sum(masks.values()) - 1) > 1e-6:
            raise ValueError(
                "fractions of band, classes and switch must be 0 or more and add up to 1"
            )
        return masks


@dataclass(frozen=True)
class PartialPalette:
    """The method: networks `G` and `D`, schedule and losses."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    sizes: tuple[tuple[int, int], ...]  # of the trained levels

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases = alternate
    real, full = real_blurred, full_enlarged

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are merged layouts at the level's grid."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        G, D = self.nets["G"], partial(self.nets["D"], level=level, alpha=alpha)
        config = self.config
        real = real_layout(batch.label, self.given.num_classes, self.sizes[level])
        edit = self._edit(real, rng)
        z = noise(rng, len(real), config.latent).to(real.device)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            condition = Condition(edit.layout)
            scales = G(z, edit.share, level=level, alpha=alpha, layout=condition)
            merged = [
                Activation(merge(scale.soft, condition.at(scale.soft.shape[-2:])), scale.mask)
                for scale in scales
            ]
            made.append(merged[-1].soft)
            weight = config.merged_entropy_weight
            terms = {
                "adversarial": -D(merged[-1].soft).float().mean(),
                "entropy": config.entropy_weight * over_scales(scales, lambda s: entropy(s.soft)),
                "merged_entropy": weight * over_scales(merged, lambda s: entropy(s.soft)),
                "spread": config.spread_weight * over_scales(scales, lambda s: spread(s.mask)),
            }
            if config.masks.get("switch", 0):
                wasted = over_scales(
                    scales, lambda s: novelty(s.soft, condition.at(s.soft.shape[-2:]), edit)
                )
                terms["novelty"] = config.novelty_weight * wasted
            return terms

        def critic_loss() -> dict[str, Tensor]:
            real = self.real(batch.label, self.sizes[level])
            return critic_terms(D, real, made[0].detach(), weight=config.penalty_weight, rng=rng)

        return Losses(generator_loss, critic_loss, made)

    def request(self, batch: Batch, rng: torch.Generator) -> Edit:
        """Edit every layout of a batch as in training, at full size."""
        return self._edit(onehot(batch.label, self.given.num_classes), rng)

    def sample(self, nets: nn.ModuleDict, request: Edit, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw merged soft layouts `[B, C, H, W]` for full-size edits, one generator each."""
        z = randn(rngs, (self.config.latent,))
        return merge(self.raw(nets, request, z), request.layout)

    def raw(self, nets: nn.ModuleDict, edit: Edit, z: Tensor) -> Tensor:
        """Make soft layouts `[B, C + 1, H, W]`, the last class is "keep", from z `[B, latent]`."""
        layout, level = Condition(edit.layout), len(self.sizes) - 1
        z = z.to(edit.layout.device)
        soft = nets["G"](z, edit.share, level=level, layout=layout)[-1].soft
        return enlarge(soft, self.given.size)

    def _edit(self, layout: Tensor, rng: torch.Generator) -> Edit:
        return training_edit(
            layout,
            self.config.masks,
            min_band=self.config.min_band,
            palettes=self.given.wanted_palettes(),
            rng=rng,
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
        """Features `[B, inputs, h, w]` -> `[B, outputs, h, w]`."""
        return self.block(x, layout)


def _editor(config: Config, num_classes: int, grown: Growth) -> Generator:
    pairs = zip([grown.channels[0], *grown.channels], grown.channels, strict=False)
    return Generator(
        [EditBlock(a, b, num_classes, config.hidden, config.init_gain) for a, b in pairs],
        channels=grown.channels,
        stem=Stem(
            config.latent + num_classes + 1, grown.sizes[0], config.pixel_norm, normalised=False
        ),
        num_masks=num_classes + 1,
        activate=assisted_present,
        joint=config.joint,
        mask_gain=config.mask_gain,
    )


def build(config: Config, given: Given) -> PartialPalette:
    """Build the method; raises what `growth` does.

    Only the switches among the `masks` look at palettes: the target of a band is the histogram of
    what was removed.
    """
    grown = growth(config, given)
    nets = nn.ModuleDict(
        {
            "G": _editor(config, given.num_classes, grown),
            "D": grown.critic(given.num_classes),
        }
    )
    return PartialPalette(config, given, nets, grown.spans, grown.sizes)


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
    band = band_of(places, method.given.size, method.config.min_band)
    return with_band(method, nets, real=real, band=band, z=randn(rngs, (method.config.latent,)))


# nothing to measure: the editor is asked for a band's palette, not for an image's
ENTRY = Entry(Config, build, draw, derives=True, edits=True, joins=True)
