"""Semantic Palette's partial editor (CVPR 2021): a part of a real layout is made anew.

A progressive generator of SPADE blocks sees the layout with a hole and the palette that is asked
for in it; one more class, "keep", re-emits the input. A drawn pair has the real label outside the
hole. Trained with `masks` for it, the editor also removes classes and lets classes grow
(`synth/layouts/common/editing.py`).

Differences from the released code: what is asked for can be put into the hole alone (`keep`), the
critic can be shown where the hole is (`critic_sees_hole`), and sees around it what it sees of real
layouts, blurred, where the released one tells edits by their sharpness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.layouts.common.activation import Activation, assisted_present
from synth.layouts.common.editing import disagreement, with_hole
from synth.layouts.common.entry import Entry
from synth.layouts.common.finish import finished
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
    blur_line,
    critic_terms,
    entropy,
    mode_seeking,
    over_scales,
    real_layout,
    soften,
    spread,
)
from synth.layouts.common.masks import (
    Edit,
    Lengths,
    MaskKind,
    band_of,
    novelty,
    training_edit,
)
from synth.layouts.common.progressive import EqualLinear, Generator, JointKind, Stem
from synth.layouts.common.rounding import Rounding
from synth.layouts.common.scene import Keep, Scene
from synth.nets.layers import ModulatedBlock, Spade, set_gain
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

STYLE_GAIN = 0.5  # deviation of what noise scales and shifts channels by at the start


class Config(GrownParams):
    """Section `layouts.partial_palette` of `params.yaml`."""

    hidden: int = Field(ge=1)
    init_gain: float = Field(gt=0)
    masks: dict[MaskKind, float]  # shares of the training samples
    bands: Lengths  # fractions of the width
    boxes: Lengths  # fractions of height and width, only with `box` among the masks
    another: float = Field(ge=0, le=1)  # of the holes are asked for another label's palette
    keep: Keep
    noise: Literal["vector", "everywhere"]
    critic_sees_hole: bool
    entropy_weight: float = Field(ge=0)
    merged_entropy_weight: float = Field(ge=0)
    spread_weight: float = Field(ge=0)
    novelty_weight: float = Field(ge=0)  # only with `switch` among the masks
    mode_seeking_weight: float = Field(ge=0)  # above 0 every edit is made twice
    joint: JointKind
    blur: Blur
    rounding: Rounding

    @field_validator("masks")
    @classmethod
    def _shares(cls, masks: dict[MaskKind, float]) -> dict[MaskKind, float]:
        if min(masks.values(), default=-1) < 0 or abs(sum(masks.values()) - 1) > 1e-6:
            raise ValueError(
                "fractions of band, box, classes and switch must be 0 or more and add up to 1"
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

    @property
    def noise_length(self) -> int:
        """Numbers of noise for a layout: a vector, then one for each place of each grid, if any."""
        return sum(self._lengths(len(self.sizes) - 1))

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step; what is made are merged layouts at the level's grid."""
        level, alpha, rng = progress.level, progress.alpha, progress.rng
        config, size = self.config, self.sizes[level]
        edit = self.request(batch, rng)
        if config.mode_seeking_weight:
            edit = edit.in_pairs()
        z = noise(rng, len(batch.label), sum(self._lengths(level))).to(batch.label.device)
        scene = self._scene(edit, size, z)
        sharp, around = (
            real_layout(label, self.given.num_classes, size) for label in (batch.label, edit.label)
        )
        line = blur_line(min(size), kind=config.blur)
        made: list[Tensor] = []

        def D(layout: Tensor) -> Tensor:
            if config.critic_sees_hole:
                hole = scene.hole(size).repeat(len(layout) // len(z), 1, 1, 1)
                layout = torch.cat([layout, hole], 1)
            return self.nets["D"](layout, level=level, alpha=alpha)

        def generator_loss() -> dict[str, Tensor]:
            scales = self.nets["G"](scene.z, edit.share, level=level, alpha=alpha, scene=scene)
            merged = [Activation(scene.merge(scale.soft), scale.mask) for scale in scales]
            made.append(scene.shown(scales[-1].soft, around, line))
            decided, both = config.entropy_weight, config.merged_entropy_weight
            terms = {
                "adversarial": -D(made[0]).float().mean(),
                "entropy": decided * over_scales(scales, lambda s: entropy(s.soft)),
                "merged_entropy": both * over_scales(merged, lambda s: entropy(s.soft)),
                "spread": config.spread_weight * over_scales(scales, lambda s: spread(s.mask)),
            }
            if config.masks.get("switch", 0):
                wasted = over_scales(
                    scales, lambda s: novelty(s.soft, scene.layout(s.soft.shape[2:]), edit)
                )
                terms["novelty"] = config.novelty_weight * wasted
            if config.mode_seeking_weight:
                alike = mode_seeking(merged[-1].soft, scene.hole(size), scene.z)
                terms["mode_seeking"] = config.mode_seeking_weight * alike
            return terms

        def critic_loss() -> dict[str, Tensor]:
            real = soften(sharp, line=line)
            return critic_terms(D, real, made[0].detach(), weight=config.penalty_weight, rng=rng)

        return Losses(generator_loss, critic_loss, made)

    def request(self, batch: Batch, rng: torch.Generator) -> Edit:
        """Edit every layout of a batch as in training."""
        config = self.config
        return training_edit(
            batch.label,
            config.masks,
            bands=config.bands,
            boxes=config.boxes,
            another=config.another,
            palettes=self.given.wanted_palettes(),
            rng=rng,
        )

    def sample(self, nets: nn.ModuleDict, request: Edit, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw merged soft layouts `[B, C, H, W]`, one generator each."""
        z = randn(rngs, (self.noise_length,))
        whole = self._scene(request, self.given.size, z)
        return whole.merge(self.raw(nets, request, z))

    def raw(self, nets: nn.ModuleDict, edit: Edit, z: Tensor) -> Tensor:
        """Make soft layouts `[B, C + 1, H, W]`, the last class is "keep".

        From noise z `[B, noise_length]`.
        """
        level = len(self.sizes) - 1
        scene = self._scene(edit, self.sizes[level], z.to(edit.label.device))
        soft = nets["G"](scene.z, edit.share, level=level, scene=scene)[-1].soft
        return finished(soft, self.given.size, self.config.cell)

    def _lengths(self, level: int) -> list[int]:
        grids = self._grids(level) if self.config.noise == "everywhere" else ()
        return [self.config.latent, *(height * width for height, width in grids)]

    def _grids(self, level: int) -> list[tuple[int, int]]:
        cell = self.config.cell
        return [(height // cell, width // cell) for height, width in self.sizes[: level + 1]]

    def _scene(self, edit: Edit, finest: tuple[int, int], z: Tensor) -> Scene:
        level = self.sizes.index(finest) if finest in self.sizes else len(self.sizes) - 1
        z, *maps = z.split(self._lengths(level), 1)
        grids = self._grids(level)
        maps = [part.view(len(z), 1, *grid) for part, grid in zip(maps, grids, strict=False)]
        return Scene(edit, finest, keep=self.config.keep, z=z, maps=maps)


class EditBlock(nn.Module):
    """One SPADE residual block, conditioned on the layout with its hole unknown (section 3.1)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        num_classes: int,
        *,
        hidden: int,
        init_gain: float,
        latent: int,
    ) -> None:
        """Build the block; its norms are batch norms without their own scale.

        With `latent` numbers of noise above 0 they scale and shift the channels that come in, and
        noise of each place is added: what has to pass through all SPADE norms does not survive.
        """
        super().__init__()
        self.block = ModulatedBlock(inputs, outputs, lambda c: Spade(c, num_classes, hidden))
        set_gain(self.block, init_gain)
        self.style = EqualLinear(latent, 2 * inputs, gain=STYLE_GAIN) if latent else None
        self.gain = nn.Parameter(torch.zeros(inputs, 1, 1)) if latent else None

    def forward(self, x: Tensor, scene: Scene) -> Tensor:
        """Features `[B, inputs, h, w]` -> `[B, outputs, h, w]`."""
        if self.style is not None and self.gain is not None:
            scale, shift = self.style(scene.z)[:, :, None, None].chunk(2, 1)
            x = x * (1 + scale) + shift + self.gain * scene.noise(x.shape[2:])
        return self.block(x, scene.condition)


def _editor(config: Config, num_classes: int, grown: Growth) -> Generator:
    latent = config.latent if config.noise == "everywhere" else 0
    numbers = {"hidden": config.hidden, "init_gain": config.init_gain, "latent": latent}
    channels = grown.levels.channels
    pairs = zip([channels[0], *channels], channels, strict=False)
    return Generator(
        [EditBlock(a, b, num_classes, **numbers) for a, b in pairs],
        levels=grown.levels,
        stem=Stem(config.latent + num_classes + 1, config.pixel_norm, normalised=False),
        num_masks=num_classes + 1,
        num_fed=num_classes,
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
            "D": grown.critic(given.num_classes + config.critic_sees_hole),
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
    hole = band_of(places, method.given.size, method.config.bands)
    return with_hole(method, nets, real=real, hole=hole, z=randn(rngs, (method.noise_length,)))


ENTRY = Entry(Config, build, draw, disagreement, derives=True, edits=True, joins=True)
