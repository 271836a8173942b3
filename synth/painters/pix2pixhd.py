"""pix2pixHD (Wang et al., CVPR 2018): the global generator, least-squares patch critics.

The layout enters once, at the first layer, and one layout has one image. Instances are not known
here, so there are no instance edges and no instance features; the local enhancer is for 1024 pixels
and more and left out. Instance norm wipes out what is constant over an image (the observation that
SPADE started from): of a layout with a single class nothing is left after the first norm.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.painters.common.adversarial import (
    PatchParams,
    adam,
    alternate,
    average,
    judge,
    match,
    request_real,
    sample_one,
)
from synth.painters.common.entry import Entry
from synth.painters.common.pyramid import check_size
from synth.training.method import (
    Given,
    Losses,
    Progress,
    Span,
    computed,
)


class Config(PatchParams):
    """Section `painters.pix2pixhd` of `params.yaml`."""

    batch_size: int = Field(ge=1)
    num_blocks: int = Field(ge=0)
    init_std: float = Field(gt=0)


class GlobalGenerator(nn.Module):
    """Encode a layout, transform it at the base grid, decode an image (section 3.1, appendix).

    In Johnson et al.'s notation c7s1-w, d2w, d4w, ..., residual blocks, ..., u2w, uw, c7s1-3:
    channels double with every halving, from `width`. The base grid is size / 2 ** num_doublings, at
    least 2x2 because its convolutions reflect.
    """

    def __init__(
        self, num_classes: int, *, width: int, num_doublings: int, num_blocks: int
    ) -> None:
        super().__init__()
        grids = list(pairwise(width * 2**level for level in range(num_doublings + 1)))
        layers = [_normed(_reflecting(num_classes, width, 7))]
        layers += [_normed(nn.Conv2d(fine, coarse, 3, 2, 1)) for fine, coarse in grids]
        layers += [ResidualBlock(width * 2**num_doublings) for _ in range(num_blocks)]
        layers += [
            _normed(nn.ConvTranspose2d(coarse, fine, 3, 2, 1, output_padding=1))
            for fine, coarse in reversed(grids)
        ]
        self.body = nn.Sequential(*layers)
        self.rgb = _reflecting(width, 3, 7)

    def forward(self, layout: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32; layout [B,C,H,W], one-hot or soft."""
        return torch.tanh(self.rgb(self.body(layout)).float())


class ResidualBlock(nn.Module):
    """Add two normalised convolutions; only the first is activated, and nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            _normed(_reflecting(channels, channels, 3)),
            _reflecting(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B,channels,h,w] to its own shape."""
        return x + self.inner(x)


def _reflecting(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, padding_mode="reflect")


def _normed(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    return nn.Sequential(layer, nn.InstanceNorm2d(layer.out_channels), nn.ReLU())


def initialise(net: nn.Module, std: float) -> None:
    """Draw the weights of every convolution from N(0, std) and set biases to 0.

    The released code leaves biases at PyTorch's draw; nearly all of them stand before a norm that
    removes them.
    """
    for parameter in net.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0.0, std)
        else:
            nn.init.zeros_(parameter)


def least_squares(scores: list[Tensor], target: float) -> Tensor:
    """Draw scores [B,1,h,w] to `target` (LSGAN); mean of patches, sum over scales, as released."""
    return torch.stack([(score.float() - target).square().mean() for score in scores]).sum()


@dataclass(frozen=True)
class Pix2PixHD:
    """The method: generator G, multi-scale patch critic D, and their two phases."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases, request, sample = alternate, request_real, sample_one

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            made.append(self.nets["G"](layout))
            return self.generator_loss(batch.image, made[0], layout)

        def critic() -> dict[str, Tensor]:
            return self.critic_loss(batch.image, made[0].detach(), layout)

        return Losses(generator, critic, made)

    def generator_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Draw scores of images [B,3,H,W] to 1, match features of critic and pretrained net."""
        D, shown = self.nets["D"], {"real": real, "fake": fake, "layout": layout}
        scores, matching = match(self.config, D, self.perceptual, **shown)
        return {"least_squares": least_squares(scores, 1.0)} | matching

    def critic_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Draw scores of real to 1, of fake [B,3,H,W] to 0, halved as released."""
        of_real, of_fake = judge(self.nets["D"], real=real, fake=fake, layout=layout)
        return {"real": least_squares(of_real, 1.0) / 2, "fake": least_squares(of_fake, 0.0) / 2}


def build(config: Config, given: Given) -> Pix2PixHD:
    """Build pix2pixHD.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As released, with 36 channels (35 classes and the edges that are left out here): G
    182,546,755 parameters.
    """
    depth, classes = config.num_doublings, given.num_classes
    check_size(given.size, depth, smallest=2)
    perceptual = config.perceptual()
    nets = nn.ModuleDict(
        {
            "G": GlobalGenerator(
                classes, width=config.width, num_doublings=depth, num_blocks=config.num_blocks
            ),
            "D": config.critic(classes, spectral=False),
        }
    )
    initialise(nets, config.init_std)
    spans = (Span(config.num_images, config.batch_size),)
    return Pix2PixHD(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, joins=True)
