"""ProGAN (Karras et al., ICLR 2018): images from noise alone, from 4 rows upwards.

Generator and critic grow together, each new level fading in. WGAN-GP with a small drift term,
equalised learning rates, pixel norm, and one feature of the critic that says how much the images of
a batch differ (as in the paper over all of them; released: over groups of four). Here the generator
steps first, and the critic judges what it made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from data.pairs.batches import Batch
from data.pairs.sampling import Sampling
from data.stage.errors import UserError
from data.stage.params import Params
from synth.layouts.common.grids import Levels, channel_table, grids
from synth.layouts.common.grown import adam, alternate, average, spans_of
from synth.layouts.common.losses import gradient_penalty
from synth.layouts.common.progressive import (
    SLOPE,
    ConvBlock,
    EqualConv,
    EqualLinear,
    pixel_norm,
    upsample,
)
from synth.training.method import Given, Losses, Progress, Span, computed, noise, randn
from synth.unconditional.entry import Entry

Part = tuple[NonNegativeInt, NonNegativeInt, PositiveInt]
"""Parts of the training while a level fades in and while it is stable, batch size."""


class Config(Params):
    """Section `unconditional.progan` of `params.yaml`."""

    num_images: int = Field(gt=0)
    sampling: Sampling
    levels: tuple[Part, ...]
    latent: int = Field(ge=1)
    width: int = Field(ge=4)
    taper_from: int = Field(ge=1)
    lr: float = Field(gt=0)
    betas: tuple[float, float]
    ema: float = Field(ge=0, lt=1)
    penalty_weight: float = Field(ge=0)
    drift_weight: float = Field(ge=0)


class Stem(nn.Module):
    """From a vector to features at the base grid: a transposed convolution of one position."""

    def __init__(self, inputs: int, outputs: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs, *grid))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = (2 / (inputs * grid[0] * grid[1])) ** 0.5

    def forward(self, z: Tensor) -> Tensor:
        """`[B, inputs]` -> `[B, outputs, *grid]`."""
        return F.conv_transpose2d(z[:, :, None, None], self.weight * self.scale, self.bias)


class Generator(nn.Module):
    """Noise in, an image at the grid of a level out."""

    def __init__(self, latent: int, levels: Levels) -> None:
        super().__init__()
        channels = levels.channels
        self.stem = Stem(latent, channels[0], levels.grids[0])
        blocks = [ConvBlock(None, channels[0], "rms")]
        self.blocks = nn.ModuleList(
            blocks + [ConvBlock(a, b, "rms") for a, b in pairwise(channels)]
        )
        self.to_rgb = nn.ModuleList(EqualConv(its, 3, 1, gain=1) for its in channels)

    def forward(self, z: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        """Make images `[B, 3, h, w]` of `z` `[B, latent]`; nothing keeps them in [-1, 1].

        `alpha` < 1 fades the level in over the one before, seen at twice its size.
        """
        x = before = pixel_norm(F.leaky_relu(self.stem(pixel_norm(z, "rms")), SLOPE), "rms")
        for number, block in enumerate(self.blocks[: level + 1]):
            before = x
            x = block(upsample(x) if number else x, None)
        image = self.to_rgb[level](x)
        if level and alpha < 1:
            image = torch.lerp(upsample(self.to_rgb[level - 1](before)), image, alpha)
        return image


class Critic(nn.Module):
    """Score images at the grid of any level, knowing how much those of a batch differ."""

    def __init__(self, levels: Levels) -> None:
        super().__init__()
        channels = levels.channels
        self.from_rgb = nn.ModuleList(EqualConv(3, its, 1) for its in channels)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualConv(fine, fine), EqualConv(fine, coarse)])
            for coarse, fine in pairwise(channels)
        )
        self.joined = EqualConv(channels[0] + 1, channels[0])
        self.whole = EqualConv(channels[0], channels[0], levels.grids[0], padding=0)
        self.score = EqualLinear(channels[0], 1, gain=1)

    def forward(self, image: Tensor, *, level: int, alpha: float = 1.0) -> Tensor:
        """Return scores `[B]` of images `[B, 3, h, w]`; `alpha` < 1 fades the level in."""
        x = self._seen(level, image)
        for number in range(level, 0, -1):
            for conv in self.blocks[number - 1].children():
                x = F.leaky_relu(conv(x), SLOPE)
            x = F.avg_pool2d(x, 2)
            if number == level and alpha < 1:
                coarse = self._seen(level - 1, F.avg_pool2d(image, 2))
                x = torch.lerp(coarse.to(x.dtype), x, alpha)
        x = F.leaky_relu(self.joined(with_spread(x)), SLOPE)
        x = F.leaky_relu(self.whole(x), SLOPE)
        return self.score(x.flatten(1)).squeeze(1).float()

    def _seen(self, level: int, image: Tensor) -> Tensor:
        return F.leaky_relu(self.from_rgb[level](image), SLOPE)


def with_spread(x: Tensor) -> Tensor:
    """Append a plane to features `[B, K, h, w]`: their deviation over the batch, one number."""
    deviation = (x.float().var(0, correction=0) + 1e-8).sqrt().mean()
    return torch.cat([x, deviation.to(x.dtype).expand(len(x), 1, *x.shape[2:])], 1)


@dataclass(frozen=True)
class Progan:
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
        """Return the losses of one step; what is made are images at the level's grid."""
        level, alpha, rng, config = progress.level, progress.alpha, progress.rng, self.config
        D = partial(self.nets["D"], level=level, alpha=alpha)
        z = noise(rng, len(batch.image), config.latent).to(batch.image.device)
        made: list[Tensor] = []

        def generator_loss() -> dict[str, Tensor]:
            made.append(self.nets["G"](z, level=level, alpha=alpha))
            return {"adversarial": -D(made[0]).mean()}

        def critic_loss() -> dict[str, Tensor]:
            real, fake = self.real(batch.image, level, alpha), made[0].detach().float()
            of_real, of_fake = D(real), D(fake)  # apart: a score depends on the batch
            return {
                "wasserstein": of_fake.mean() - of_real.mean(),
                "penalty": config.penalty_weight * gradient_penalty(D, real, fake, rng),
                "drift": config.drift_weight * of_real.square().mean(),
            }

        return Losses(generator_loss, critic_loss, made)

    def real(self, image: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        """Return real images `[B, 3, h, w]` as the critic sees them, faded in as made ones are."""
        x = F.interpolate(image, size=self.sizes[level], mode="area")
        if level and alpha < 1:
            x = torch.lerp(upsample(F.avg_pool2d(x, 2)), x, alpha)
        return x

    def request(self, batch: Batch, rng: torch.Generator) -> None:
        """Return None: nothing is asked for."""

    def sample(self, nets: nn.ModuleDict, request: None, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw images `[B, 3, H, W]` in [-1, 1], one per generator."""
        z = randn(rngs, (self.config.latent,)).to(next(nets["G"].parameters()).device)
        return nets["G"](z, level=len(self.sizes) - 1).float().clamp(-1, 1)


def build(config: Config, given: Given) -> Progan:
    """Build ProGAN; it looks at no classes.

    With fewer `levels` than the size has, growth begins at a finer grid. Raises `UserError` for a
    size that does not halve to a base grid, and for parts of no images. As published, at 1024x1024:
    G 23,079,115 and D 23,087,249 parameters.
    """
    found, parts = grids(given.size), config.levels
    total = sum(part[1] + (part[0] if number else 0) for number, part in enumerate(parts))
    if not total:
        raise UserError("unconditional.progan.levels has no part of the training; give it some")
    unit = config.num_images / total
    counts = [(ceil(unit * fade), ceil(unit * stable), size) for fade, stable, size in parts]
    spans = spans_of(counts, len(found))
    sizes = tuple(found[-len(parts) :])
    levels = Levels(sizes, tuple(channel_table(config.width, config.taper_from, len(parts))))
    nets = nn.ModuleDict({"G": Generator(config.latent, levels), "D": Critic(levels)})
    return Progan(config, given, nets, spans, sizes)


ENTRY = Entry(Config, build)
