"""What growing layout methods share: schedule, networks, what they are asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Protocol

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from data.pairs.batches import Batch
from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.stage.params import Params
from synth.layouts.common.activation import Activation, gumbel_onehot
from synth.layouts.common.finish import enlarge, finished
from synth.layouts.common.grids import Levels, channel_table, grids
from synth.layouts.common.losses import blurred_layout, kl_argmax, real_layout
from synth.layouts.common.progressive import (
    Activate,
    ConvBlock,
    Critic,
    Generator,
    JointKind,
    PixelNormKind,
    Stem,
)
from synth.layouts.common.rounding import Rounding, round_layout
from synth.training.method import (
    AdamConfig,
    Drawn,
    Given,
    Losses,
    Phase,
    Progress,
    Span,
    randn,
    rows,
)

Level = tuple[NonNegativeInt, NonNegativeInt, PositiveInt]
"""Images shown while a level fades in, images shown while it is stable, batch size."""


class GrownParams(Params):
    """The keys that the sections of all growing methods have."""

    latent: int = Field(ge=1)
    width: int = Field(ge=4)
    cell: Literal[1, 2, 4]  # pixels of a layout along the side of a cell of features
    enlarge: Literal[1, 2, 4, 8]  # what the sides of the finest layouts are multiplied by
    skip: bool
    taper_from: int = Field(ge=1)
    levels: tuple[Level, ...]
    mask_gain: float = Field(gt=0)
    pixel_norm: PixelNormKind
    lr: float = Field(gt=0)
    betas: tuple[float, float]
    ema: float = Field(ge=0, lt=1)
    penalty_weight: float = Field(ge=0)


@dataclass(frozen=True)
class Growth:
    """How a method grows: its schedule, and the levels of its networks."""

    spans: tuple[Span, ...]
    levels: Levels

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Sizes (height, width) of the layouts of the trained levels."""
        return self.levels.sizes

    def critic(self, num_planes: int) -> Critic:
        """Build the critic of layouts `[B, num_planes, h, w]`."""
        return Critic(num_planes, levels=self.levels)


def growth(config: GrownParams, given: Given) -> Growth:
    """Plan the growth of layouts of the given size, which the last level makes.

    Raises `UserError` for a size that does not halve to a base grid. With fewer `levels` than the
    size has, growth begins at a finer grid. Cells of 2 pixels make the same layouts with a level
    less, and layouts that are to be `enlarge`d by 2 have one less too.
    """
    finest = given.size[0] // (config.cell * config.enlarge)
    found = [grid for grid in grids(given.size) if grid[0] <= finest]
    spans = spans_of(config.levels, len(found))
    channels = channel_table(config.width, config.taper_from, len(config.levels))
    used = tuple(found[-len(config.levels) :])
    return Growth(spans, Levels(used, tuple(channels), config.cell, config.skip))


def spans_of(levels: Sequence[Level], num_levels: int) -> tuple[Span, ...]:
    """Turn a list of levels, coarsest first, into spans; the base grid does not fade.

    Raises `UserError` for more entries than a layout size has levels, or for a last one without
    stable images.
    """
    if not 1 <= len(levels) <= num_levels:
        raise UserError(
            f"`levels` has {len(levels)} entries, this layout size has {num_levels} levels (both "
            "sides halved down to the base grid, but for those that `cell` and `enlarge` leave "
            "out); list 1 to that many, the coarsest first"
        )
    if not levels[-1][1]:
        raise UserError("the last entry of `levels` has no stable images; give it some")
    spans = []
    for number, (fade, stable, batch_size) in enumerate(levels):
        if fade and number:
            spans.append(Span(fade, batch_size, number, fade=True))
        if stable:
            spans.append(Span(stable, batch_size, number))
    return tuple(spans)


def conv_generator(
    config: GrownParams,
    given: Given,
    grown: Growth,
    *,
    activate: Activate,
    joint: JointKind | None = None,
    palette_size: int | None = None,
) -> Generator:
    """Build a generator of convolutions, with the palette beside the noise unless it has size 0."""
    norm, channels = config.pixel_norm, grown.levels.channels
    blocks = [ConvBlock(None, channels[0], norm)]
    blocks += [ConvBlock(a, b, norm) for a, b in pairwise(channels)]
    entries = given.num_classes if palette_size is None else palette_size
    return Generator(
        blocks,
        levels=grown.levels,
        stem=Stem(config.latent + entries, norm, normalised=True),
        num_masks=given.num_classes,
        activate=activate,
        joint=joint,
        mask_gain=config.mask_gain,
    )


# == what a method may take over as it is: `phases = alternate`, `kept = computed(average)` ==


class Grown(Protocol):
    """A growing method, as far as these functions look."""

    @property
    def config(self) -> Any:
        """Its `GrownParams`."""
        ...

    @property
    def given(self) -> Given:
        """What it was built for."""
        ...

    @property
    def nets(self) -> nn.ModuleDict:
        """All networks by name."""
        ...

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Sizes (height, width) of the trained levels."""
        ...


class Alternating(Protocol):
    """A method that steps its generator and its critic in turn."""

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step."""
        ...


def adam(method: Grown) -> dict[str, AdamConfig]:
    """Return the same Adam for every network."""
    return {name: AdamConfig(method.config.lr, method.config.betas) for name in method.nets}


def average(method: Grown) -> dict[str, float]:
    """Keep an average of the generator."""
    return {"G": method.config.ema}


def latent(method: Grown) -> int:
    """Return the length of the noise that a layout is made from: a vector alone."""
    return method.config.latent


def alternate(method: Alternating, batch: Batch, progress: Progress) -> Iterator[Phase]:
    """One generator step, then one critic step on the layouts made before it."""
    losses = method.losses(batch, progress)
    yield Phase("G", losses.generator, train=("G",))
    yield Phase("D", losses.critic, train=("D",))


def request_palettes(method: Grown, batch: Batch, rng: torch.Generator) -> Tensor:
    """Draw target palettes `[B, C]`, as many as the batch has pairs."""
    seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
    sample = method.given.wanted_palettes().sample
    asked = rows(rng, len(batch.label), lambda n: torch.from_numpy(sample(n, seed)))
    return asked.to(batch.label.device)


def real_blurred(method: Grown, label: Tensor, size: tuple[int, int]) -> Tensor:
    """Return real layouts `[B, C, h, w]` as the critic sees them: blurred."""
    return blurred_layout(label, method.given.num_classes, size, method.config.blur)


def full_enlarged(method: Grown, made: Tensor) -> Tensor:
    """Enlarge made layouts `[B, C, h, w]` to the size of the pairs, for a painter."""
    return enlarge(made, method.given.size)


# == methods that make whole layouts for a palette ==


class Whole(Protocol):
    """A method that makes whole layouts from noise and a palette, for `Entry.follows_palette`."""

    @property
    def config(self) -> Any:
        """Its numbers, with `latent` and `rounding: Rounding`."""
        ...

    @property
    def given(self) -> Given:
        """What it was built for."""
        ...

    def whole(self, nets: nn.ModuleDict, z: Tensor, palette: Tensor) -> Activation:
        """Make layouts at the finest trained grid from noise `[B, latent]`, palettes `[B, C]`."""
        ...


def sample_whole(
    method: Whole, nets: nn.ModuleDict, palette: Tensor, rngs: Sequence[torch.Generator]
) -> Tensor:
    """Draw soft layouts `[B, C, H, W]` for palettes `[B, C]`, one generator per layout."""
    z = randn(rngs, (method.config.latent,)).to(palette.device)
    return soft_whole(method, nets, z, palette)


def soft_whole(method: Whole, nets: nn.ModuleDict, z: Tensor, palette: Tensor) -> Tensor:
    """Make soft layouts `[B, C, H, W]` from noise `[B, latent]` and palettes `[B, C]`."""
    soft = method.whole(nets, z, palette).soft
    return finished(soft, method.given.size, method.config.cell)


def draw_whole(
    method: Whole,
    nets: nn.ModuleDict,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Draw labels for palettes `[B, C]`; `real` is not looked at, `target` is the palette."""
    rounding: Rounding = method.config.rounding
    label = round_layout(sample_whole(method, nets, palette, rngs), palette, rounding)
    return Drawn(label=label, target=palette, edited=None)


def measure_whole(method: Whole, nets: nn.ModuleDict, real: PairSet) -> dict[str, float]:
    """Measure `kl_argmax`: asked palettes against argmax layouts, before rounding."""
    device = next(nets["G"].parameters()).device
    sample = partial(sample_whole, method, nets)
    return {"kl_argmax": kl_argmax(sample, method.given.wanted_palettes(), device)}


# == baselines without feedback, whose critic may see soft or drawn layouts ==


def plain_whole(method: Grown, nets: nn.ModuleDict, z: Tensor, palette: Tensor) -> Activation:
    """Make layouts at the finest trained grid from noise `[B, latent]` and palettes `[B, C]`."""
    return nets["G"](z, palette, level=len(method.sizes) - 1)[-1]


def shown(method: Grown, soft: Tensor, rng: torch.Generator) -> Tensor:
    """Return what the critic sees of soft layouts `[B, C, h, w]`: them, or classes drawn."""
    temperature = method.config.gumbel_temperature
    return soft if temperature is None else gumbel_onehot(soft, temperature, rng)


def shown_real(method: Grown, label: Tensor, level: int) -> Tensor:
    """Return the real ones beside them, of labels `[B, H, W]`: blurred, or one-hot as fakes are."""
    size = method.sizes[level]
    if method.config.gumbel_temperature is not None:
        return real_layout(label, method.given.num_classes, size)
    return real_blurred(method, label, size)
