"""SEAN (Zhu et al., CVPR 2020): each region painted in a style of its own, learnt by an encoder.

The style of a class is the mean of an encoder's features over its region. Spread over the layout it
gives a scale and a shift beside those of SPADE's layers, and norms take a learnt mean of the two:
x * (1 + a g_style + (1 - a) g_layout) + b b_style + (1 - b) b_layout. In training an image is
painted from its own styles; at production from those of any training image, whole or by class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, Stream, onehot
from synth.nets.layers import INIT_GAIN, Condition, ModulatedBlock, Spade, activate, conv, set_gain
from synth.painters.common import hinged
from synth.painters.common.adversarial import adam, alternate, average, in_turn
from synth.painters.common.bank import StyleBank, bank_of, region_means, style_map
from synth.painters.common.entry import Entry, always
from synth.painters.common.prepared import cast_generator
from synth.painters.common.pyramid import Pyramid, Stage, check_size, layout_seed, spade_stages
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    rand,
    randn,
)


class Config(hinged.HingeParams):
    """Section `painters.sean` of `params.yaml`."""

    style_size: int = Field(ge=1)
    encoder_width: int = Field(ge=1)
    shared: bool  # one linear map of styles for all classes of a norm, in place of one each


class StyleEncoder(nn.Module):
    """Features at half the size whose means over regions are styles."""

    def __init__(self, width: int, style_size: int) -> None:
        super().__init__()
        self.inward = nn.ModuleList(
            [
                conv(3, width, 3),
                conv(width, 2 * width, 3, stride=2),
                conv(2 * width, 4 * width, 3, stride=2),
                nn.ConvTranspose2d(4 * width, 8 * width, 3, 2, 1, output_padding=1),
            ]
        )
        nn.init.xavier_normal_(self.inward[-1].weight, gain=INIT_GAIN)  # pyright: ignore[reportArgumentType]  # a layer's tensor
        self.outward = conv(8 * width, style_size, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Return features [B,S,H/2,W/2] in [-1,1], float32, of an image [B,3,H,W]."""
        x = image
        for layer in self.inward:
            x = activate(F.instance_norm(layer(x)))
        return torch.tanh(self.outward(x).float())


class Styled(Condition):
    """A layout [B,C,H,W], the styles [B,C,S] of its classes, and noise [B,N,H,W] for N norms."""

    def __init__(self, layout: Tensor, looks: Tensor, noise: Tensor) -> None:
        super().__init__(layout)
        self.looks, self._noise = looks, noise

    def noise(self, place: int, size: Sequence[int]) -> Tensor:
        """Return the noise [B,1,h,w] of a norm: independent normal numbers at every size."""
        return self._noise[:, place : place + 1, : size[0], : size[1]]


class StyledNorm(nn.Module):
    """SPADE's norm, beside one that styles scale and shift; noise is added before both."""

    def __init__(self, channels: int, spade: Spade, place: int) -> None:
        super().__init__()
        self.spade, self.place = spade, place
        self.strength = nn.Parameter(torch.zeros(channels))

    def normed(self, x: Tensor, condition: Styled) -> Tensor:
        """Add noise to x [B,channels,h,w], and normalise."""
        noise = condition.noise(self.place, x.shape[-2:]).to(x)
        return self.spade.norm(x + noise * self.strength[:, None, None])

    def structure(self, x: Tensor, condition: Styled) -> tuple[Tensor, Tensor]:
        """Return what the layout scales and shifts x [B,channels,h,w] by."""
        hidden = F.relu(self.spade.shared(condition.at(x.shape[-2:])))
        gamma, beta = self.spade.gamma_beta(hidden).chunk(2, 1)
        return gamma, beta

    def forward(self, x: Tensor, condition: Styled) -> Tensor:
        """Modulate x [B,channels,h,w] by the layout alone, as in the last block."""
        gamma, beta = self.structure(x, condition)
        return self.normed(x, condition) * (1 + gamma) + beta


class RegionNorm(StyledNorm):
    """A norm that styles scale and shift too: SEAN."""

    def __init__(
        self, channels: int, spade: Spade, place: int, *, num_maps: int, style_size: int
    ) -> None:
        super().__init__(channels, spade, place)
        deviation = INIT_GAIN / style_size**0.5  # Xavier's, of a square matrix
        self.maps = nn.Parameter(torch.randn(num_maps, style_size, style_size) * deviation)
        self.biases = nn.Parameter(torch.zeros(num_maps, 1, style_size))
        self.gamma_beta = conv(style_size, 2 * channels, 3)
        self.proportion = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, condition: Styled) -> Tensor:
        """Modulate x [B,channels,h,w] by layout and styles."""
        layout = condition.at(x.shape[-2:])
        looks = condition.looks.to(layout)
        maps = self.maps.expand(looks.shape[1], -1, -1).to(looks)
        inner = torch.einsum("bcs,cst->bct", looks, maps) + self.biases[:, 0].to(looks)
        scale, shift = self.gamma_beta(style_map(layout, F.relu(inner))).chunk(2, 1)
        gamma, beta = self.structure(x, condition)
        one, other = torch.sigmoid(self.proportion)
        gamma, beta = (
            torch.lerp(gamma, scale, one.to(gamma)),
            torch.lerp(beta, shift, other.to(beta)),
        )
        return self.normed(x, condition) * (1 + gamma) + beta


class Generator(nn.Module):
    """SPADE's pyramid with styled norms in all blocks but the last."""

    def __init__(self, num_classes: int, stages: tuple[Stage, ...], config: Config) -> None:
        super().__init__()
        places = count()

        def norm(channels: int) -> nn.Module:
            spade = Spade(channels, num_classes, config.hidden)
            maps = 1 if config.shared else num_classes
            styles = {"num_maps": maps, "style_size": config.style_size}
            return RegionNorm(channels, spade, next(places), **styles)

        def last(channels: int) -> nn.Module:
            return StyledNorm(channels, Spade(channels, num_classes, config.hidden), next(places))

        def block(stage: Stage) -> nn.Module:
            made = last if stage is stages[-1] else norm
            return ModulatedBlock(stage.in_channels, stage.out_channels, made)

        self.pyramid = Pyramid(layout_seed(num_classes, stages), stages, block)
        self.num_norms = next(places)

    def forward(self, layout: Tensor, looks: Tensor, noise: Tensor) -> Tensor:
        """Paint layouts [B,C,H,W] in styles [B,C,S] with noise [B,num_norms,H,W]."""
        condition = Styled(layout, looks, noise)
        return self.pyramid.paint(condition, self.pyramid.sow(condition, layout.shape[-2:]))


@dataclass(frozen=True)
class Sean:
    """The method: generator G, style encoder E, patch critic D, and the bank of styles."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = computed(hinged.generators), computed(hinged.critics)
    optimizers, kept = computed(adam), computed(average)
    phases = alternate
    generator_loss, critic_loss = hinged.generator_loss, hinged.critic_loss

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        rngs = [progress.rng] * len(layout)
        return in_turn(
            lambda: self._paint(self.nets, layout, self._own(batch, layout), rngs),
            lambda fake: self.generator_loss(batch.image, fake, layout),
            lambda fake: self.critic_loss(batch.image, fake, layout),
            reuse=self.config.reuse_fake,
        )

    def request(self, batch: Batch, rng: torch.Generator) -> PaintRequest:
        """Return the layouts of real pairs and the styles of their images."""
        layout = onehot(batch.label, self.given.num_classes)
        return PaintRequest(batch.label, self._own(batch, layout))

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W] in the looks asked for, or in those of rows that are drawn."""
        layout = request.planes(self.given.num_classes)
        numbers = rand(rngs, (1 + self.given.num_classes,)).to(layout.device)
        return self._paint(nets, layout, bank_of(nets).asked(request.style, numbers), rngs)

    def _paint(
        self,
        nets: nn.ModuleDict,
        layout: Tensor,
        looks: Tensor,
        rngs: Sequence[torch.Generator],
    ) -> Tensor:
        noise = randn(rngs, (self._num_norms, *layout.shape[2:])).to(layout)
        return nets["G"](layout, looks, noise)

    @property
    def _num_norms(self) -> int:
        G = self.nets["G"]  # what production computes with has another type
        assert isinstance(G, Generator)
        return G.num_norms

    def _own(self, batch: Batch, layout: Tensor) -> Tensor:
        return region_means(layout, self.nets["E"](batch.image))


def build(config: Config, given: Given) -> Sean:
    """Build SEAN.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, at 128x256 with 19 classes: G 265,338,785 parameters, E 1,568,576; with 35
    G has 328,855,457.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    stages = spade_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    nets = nn.ModuleDict(
        {
            "G": Generator(given.num_classes, stages, config),
            "D": config.critic(given.num_classes, spectral=True),
            "E": StyleEncoder(config.encoder_width, config.style_size),
            "bank": StyleBank(given.num_classes, config.style_size),
        }
    )
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Sean(config, given, nets, spans, perceptual)


def end(method: Sean, nets: nn.ModuleDict, stream: Stream) -> None:
    """Fill the bank with the styles of all training images."""
    bank_of(nets).fill_regions(stream, nets["E"])


ENTRY = Entry(Config, build, cast_generator, end=end, joins=True, takes_style=always)
