"""BigGAN (Brock et al., ICLR 2019) without classes: images from noise alone.

Residual blocks with spectral norm, self-attention at one grid (SAGAN, Zhang et al., ICML 2019), a
part of the noise for every level that scales and shifts its batch norms, hinge loss, orthogonal
regularisation, several critic steps for one of the generator, an average of the generator, and
noise that may be truncated where images are drawn. What the paper says to classes is left out:
their embedding beside the noise, and the projection in the critic.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from data.pairs.batches import Batch
from data.stage.errors import UserError
from synth.nets.losses import hinge_critic, hinge_generator
from synth.painters.common.adversarial import DoubledParams, adam, average
from synth.painters.common.pyramid import check_size
from synth.training.method import Given, Phase, Progress, Span, computed, noise, rand, randn
from synth.unconditional.entry import Entry

MOST = 16  # times the width that a layer may have


class Config(DoubledParams):
    """Section `unconditional.biggan` of `params.yaml`."""

    batch_size: int = Field(ge=1)  # of one critic step
    critic_steps: int = Field(ge=1)
    noise: int = Field(ge=1)  # numbers of every level, and of the base grid
    attention: int | None = Field(ge=1)  # halvings of the full size, to the grid that has it
    orthogonal_weight: float = Field(ge=0)
    truncation: float | None = Field(gt=0)


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def normed(layer: Layer) -> Layer:
    """Give a layer an orthogonal initialisation and spectral norm."""
    nn.init.orthogonal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    spectral_norm(layer)
    return layer


def conv(inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    """Make a convolution with spectral norm that keeps the size."""
    return normed(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias))


class Attention(nn.Module):
    """Every position looks at all others, at half the size; at first nothing is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, some = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key = (conv(channels, few, 1, bias=False) for _ in range(2))
        self.value = conv(channels, some, 1, bias=False)
        self.out = conv(some, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Features `[B, K, h, w]` -> `[B, K, h, w]`."""
        query = self.query(x).flatten(2).mT
        key, value = (F.max_pool2d(net(x), 2).flatten(2).mT for net in (self.key, self.value))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gain * self.out(seen.mT.unflatten(2, x.shape[2:]))


class NoiseNorm(nn.Module):
    """Batch norm whose scale and shift are linear maps of noise."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.shift = (normed(nn.Linear(length, channels, bias=False)) for _ in range(2))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Features `[B, K, h, w]`, noise `[B, length]` -> features."""
        gain, shift = (net(z)[:, :, None, None] for net in (self.gain, self.shift))
        return self.norm(x) * (1 + gain) + shift


class Up(nn.Module):
    """Residual block that doubles both sides."""

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.norm0, self.norm1 = NoiseNorm(inputs, length), NoiseNorm(outputs, length)
        self.conv0, self.conv1 = conv(inputs, outputs), conv(outputs, outputs)
        self.skip = conv(inputs, outputs, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Features `[B, inputs, h, w]`, noise `[B, length]` -> `[B, outputs, 2h, 2w]`."""
        y = self.conv0(_double(F.relu(self.norm0(x, z))))
        y = self.conv1(F.relu(self.norm1(y, z)))
        return y + _double(self.skip(x))  # as of the doubled features: it sees single positions


class Down(nn.Module):
    """Residual block of the critic, which may halve both sides; the first sees pixels."""

    def __init__(self, inputs: int, outputs: int, *, first: bool, halves: bool) -> None:
        super().__init__()
        self.first, self.halves = first, halves
        self.conv0, self.conv1 = conv(inputs, outputs), conv(outputs, outputs)
        plain = inputs == outputs and not halves
        self.skip = nn.Identity() if plain else conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features `[B, inputs, h, w]` -> `[B, outputs, h', w']`."""
        y = self.conv1(F.relu(self.conv0(x if self.first else F.relu(x))))
        if self.halves:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return y + self.skip(x)


class Generator(nn.Module):
    """Noise in, an image out; each level has a part of the noise for itself."""

    def __init__(self, config: Config, size: tuple[int, int]) -> None:
        super().__init__()
        depth = config.num_doublings
        wide = [config.width * min(MOST, 2 ** (depth - level)) for level in range(depth + 1)]
        self.base = (size[0] >> depth, size[1] >> depth)
        self.seed = normed(nn.Linear(config.noise, wide[0] * self.base[0] * self.base[1]))
        self.blocks = nn.ModuleList(Up(its, next_, config.noise) for its, next_ in pairwise(wide))
        self.looks = _attention(range(depth - 1, -1, -1), wide[1:], config.attention)
        self.norm = nn.BatchNorm2d(wide[-1])
        self.rgb = conv(wide[-1], 3)

    def forward(self, z: Tensor) -> Tensor:
        """Return images `[B, 3, H, W]` in [-1, 1], float32, of noise `[B, parts * noise]`."""
        first, *others = z.chunk(len(self.blocks) + 1, 1)
        x = self.seed(first).unflatten(1, (-1, *self.base))
        for block, look, part in zip(self.blocks, self.looks, others, strict=True):
            x = look(block(x, part))
        return torch.tanh(self.rgb(F.relu(self.norm(x))).float())


class Critic(nn.Module):
    """Score images: blocks that halve, a last one that does not, and a sum over positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        depth = config.num_doublings
        wide = [config.critic_width * min(MOST, 2**level) for level in range(depth)]
        blocks = [
            Down(its, next_, first=not level, halves=True)
            for level, (its, next_) in enumerate(pairwise([3, *wide]))
        ]
        self.blocks = nn.ModuleList([*blocks, Down(wide[-1], wide[-1], first=False, halves=False)])
        looks = _attention(range(1, depth + 1), wide, config.attention)
        self.looks = nn.ModuleList([*looks, nn.Identity()])
        self.score = normed(nn.Linear(wide[-1], 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return scores `[B, 1]` of images `[B, 3, H, W]`."""
        x = image
        for block, look in zip(self.blocks, self.looks, strict=True):
            x = look(block(x))
        return self.score(F.relu(x).sum((2, 3)))


def orthogonality(net: nn.Module) -> Tensor:
    """Sum the squares of the products of different filters of a layer, over all layers (eq. 3).

    Squares of W W' and of W' W have one sum, so the smaller of the two is made.
    """
    terms = []
    for weight in net.parameters():
        if weight.dim() > 1:
            filters = weight.flatten(1)
            wide = filters.shape[0] > filters.shape[1]
            products = filters.mT @ filters if wide else filters @ filters.mT
            own = filters.square().sum(1) if wide else products.diagonal()
            terms.append(products.square().sum() - own.square().sum())
    return torch.stack(terms).sum()


@dataclass(frozen=True)
class Biggan:
    """The method: generator G, critic D, and their phases."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """Yield the critic's steps, each with real images of its own, then the generator's."""
        count, steps = len(batch.image), self.config.critic_steps
        if count < steps:
            raise UserError(
                f"a process has {count} images of a batch for {steps} steps of the critic; raise "
                "`batch_size`, or take fewer processes"
            )
        parts = batch.image.tensor_split(steps)
        for real in parts:
            yield Phase("D", lambda real=real: self.critic_loss(real, progress.rng), ("D",))
        yield Phase("G", lambda: self.generator_loss(parts[0], progress.rng), ("G",))

    def critic_loss(self, real: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Tell real images `[B, 3, H, W]` from as many made ones."""
        with torch.no_grad():
            fake = self._make(real, rng)
        of_real, of_fake = self.nets["D"](torch.cat([real, fake])).chunk(2)
        return {"critic": hinge_critic([of_real], [of_fake])}

    def generator_loss(self, like: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Raise the score of as many images as `like` has, with filters that differ."""
        terms = {"generator": hinge_generator([self.nets["D"](self._make(like, rng))])}
        weight = self.config.orthogonal_weight
        if weight > 0:
            terms["orthogonal"] = weight * orthogonality(self.nets["G"])
        return terms

    def _make(self, like: Tensor, rng: torch.Generator) -> Tensor:
        return self.nets["G"](noise(rng, len(like), self._length).to(like.device))

    @property
    def _length(self) -> int:
        return self.config.noise * (self.config.num_doublings + 1)

    def request(self, batch: Batch, rng: torch.Generator) -> None:
        """Return None: nothing is asked for."""

    def sample(self, nets: nn.ModuleDict, request: None, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw images `[B, 3, H, W]` in [-1, 1], one per generator."""
        z = truncated(rngs, self._length, self.config.truncation)
        return nets["G"](z.to(next(nets["G"].parameters()).device))


def truncated(rngs: Sequence[torch.Generator], length: int, most: float | None) -> Tensor:
    """Draw standard normal noise `[B, length]`, none of it beyond `most`; None: as it comes."""
    if most is None:
        return randn(rngs, (length,))
    share = torch.special.ndtr(torch.tensor(most, dtype=torch.float64))
    below = (1 - share) + rand(rngs, (length,)).double() * (2 * share - 1)
    return torch.special.ndtri(below).float().clamp(-most, most)


def _attention(halvings: Sequence[int], wide: Sequence[int], at: int | None) -> nn.ModuleList:
    grids = zip(halvings, wide, strict=True)
    return nn.ModuleList(Attention(its) if here == at else nn.Identity() for here, its in grids)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def build(config: Config, given: Given) -> Biggan:
    """Build BigGAN; it looks at no classes.

    Raises `UserError` for a size that cannot be painted, and for attention where there is no grid.
    At 128x128 with the paper's width of 96: G 68,413,636 and D 86,446,370 parameters, which with
    what the paper has for its 1,000 classes are the published 70,433,988 and 87,982,370.
    """
    check_size(given.size, config.num_doublings)
    if config.attention is not None and config.attention >= config.num_doublings:
        raise UserError(
            f"unconditional.biggan.attention is {config.attention} halvings of the full size, with "
            f"{config.num_doublings} doublings it must be less; lower it, or set it to null"
        )
    nets = nn.ModuleDict({"G": Generator(config, given.size), "D": Critic(config)})
    spans = (Span(config.num_images, config.batch_size * config.critic_steps),)
    return Biggan(config, given, nets, spans)


ENTRY = Entry(Config, build)
