"""pix2pixHD (Wang et al., CVPR 2018): the global generator, least-squares patch critics.

The layout enters once, at the first layer, and one layout has one image. Instances are not known
here, so there are no instance edges and no instance features; the local enhancer is for 1024 pixels
and more and left out. Instance norm wipes out what is constant over an image (the observation that
SPADE started from): of a layout with a single class nothing is left after the first norm.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from data.stage.params import Params
from synth.nets.critics import MultiScalePatchCritic
from synth.nets.losses import Perceptual, feature_matching, load_perceptual
from synth.painters.common.pyramid import check_size
from synth.training.method import AdamConfig, Losses, Phase, Progress, Span


class Config(Params):
    """Section `painters.pix2pixhd`; the released numbers where the machine does not matter."""

    num_images: int = Field(gt=0)
    batch_size: int = Field(1, ge=1)
    num_doublings: int = Field(4, ge=1, le=7)
    num_blocks: int = Field(9, ge=0)
    width: int = Field(64, ge=1)
    critic_width: int = Field(64, ge=1)
    critic_layers: Literal[3, 4] = 4
    critic_scales: int = Field(2, ge=1)
    feature_matching_weight: float = Field(10.0, ge=0)
    perceptual_weight: float = Field(10.0, ge=0)
    vgg: Path | None = None
    init_std: float = Field(0.02, gt=0)
    generator_lr: float = Field(2e-4, gt=0)
    critic_lr: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    ema: float = Field(0.0, ge=0, lt=1)


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
    """Draw the scores towards `target` (LSGAN); mean over patches, sum over scales, as released."""
    return torch.stack([(score.float() - target).square().mean() for score in scores]).sum()


@dataclass(frozen=True)
class Pix2PixHD:
    """The method: generator G, multi-scale patch critic D, and their two phases."""

    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    ema: Mapping[str, float]
    num_classes: int
    feature_matching_weight: float
    perceptual_weight: float
    perceptual: Perceptual | None

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """Yield the generator's phase, then the critic's, which judges the same fake."""
        losses = self.losses(batch, onehot(batch.label, self.num_classes), progress)
        yield Phase("generator", losses.generator, ("G",))
        yield Phase("critic", losses.critic, ("D",))

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
        """Draw scores to 1, match the critic's features, and VGG's where weights were given."""
        scores, features = self.nets["D"](fake, layout)
        with torch.no_grad():
            _, wanted = self.nets["D"](real, layout)
        terms = {
            "least_squares": least_squares(scores, 1.0),
            "feature_matching": self.feature_matching_weight * feature_matching(wanted, features),
        }
        if self.perceptual is not None:
            self.perceptual.to(fake.device)
            terms["perceptual"] = self.perceptual_weight * self.perceptual(fake, real)
        return terms

    def critic_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Draw scores of real to 1 and of fake to 0, halved as released; layout one-hot or soft."""
        # Real and fake in one pass: instance norm keeps the items apart.
        scores, _ = self.nets["D"](torch.cat([real, fake]), torch.cat([layout, layout]))
        halves = [score.chunk(2) for score in scores]
        return {
            "real": least_squares([real for real, _ in halves], 1.0) / 2,
            "fake": least_squares([fake for _, fake in halves], 0.0) / 2,
        }

    def condition(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the one-hot layouts of real pairs."""
        return onehot(batch.label, self.num_classes)

    def sample(
        self, nets: nn.ModuleDict, condition: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint layouts [B,C,H,W], one-hot or soft; nothing is drawn, one layout has one image."""
        return nets["G"](condition)


def build(
    *,
    num_classes: int,
    size: tuple[int, int],
    num_images: int,
    batch_size: int,
    num_doublings: int,
    num_blocks: int,
    width: int,
    critic_width: int,
    critic_layers: int,
    critic_scales: int,
    feature_matching_weight: float,
    perceptual_weight: float,
    vgg: Path | None,
    init_std: float,
    generator_lr: float,
    critic_lr: float,
    betas: tuple[float, float],
    ema: float,
) -> Pix2PixHD:
    """Build pix2pixHD for images of `size` (H,W) and layouts of `num_classes`.

    Raises `UserError` for a size that cannot be painted and for missing VGG weights. As released,
    with 36 channels (35 classes and the edges that are left out here): G 182,546,755 parameters.
    """
    check_size(size, num_doublings, smallest=2)
    perceptual = None if vgg is None else load_perceptual(vgg)
    nets = nn.ModuleDict(
        {
            "G": GlobalGenerator(
                num_classes, width=width, num_doublings=num_doublings, num_blocks=num_blocks
            ),
            "D": MultiScalePatchCritic(
                num_classes + 3,
                width=critic_width,
                num_layers=critic_layers,
                num_scales=critic_scales,
                spectral=False,
            ),
        }
    )
    initialise(nets, init_std)
    return Pix2PixHD(
        nets=nets,
        optimizers={"G": AdamConfig(generator_lr, betas), "D": AdamConfig(critic_lr, betas)},
        spans=(Span(num_images, batch_size),),
        ema={"G": ema},
        num_classes=num_classes,
        feature_matching_weight=feature_matching_weight,
        perceptual_weight=perceptual_weight,
        perceptual=perceptual,
    )
