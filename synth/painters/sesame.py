"""SESAME (Ntavelis et al., ECCV 2020): a painter of edits, which looks at the pixels that stay.

The generator is shown the image with a hole, the layout and the hole, and only what it paints in
the hole is used. Its critic sees image and layout apart, as two streams. In training a hole is a
box around a pixel of a class that the image shows, each class as likely, or the whole image, so
that layouts without real pixels around are painted too. Instances are not known, so that boxes are
not theirs; labels outside the hole are always shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from synth.nets.critics import TwoStreamCritic
from synth.nets.layers import Condition, ModulatedBlock, Spade, activate, conv, set_gain
from synth.painters.common import hinged
from synth.painters.common.adversarial import CriticParams, MatchParams, adam, alternate, average
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import cast_generator
from synth.painters.common.pyramid import check_size
from synth.painters.common.translating import ResidualBlock, halving, normed, reflecting
from synth.training.method import (
    Around,
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    rand,
)

HALVINGS = 2


class Config(hinged.RecipeParams, CriticParams, MatchParams):
    """Section `painters.sesame` of `params.yaml`."""

    width: int = Field(ge=1)
    num_blocks: int = Field(ge=1)  # of each kind in the core
    critic_layers: int = Field(ge=3, le=4)
    critic_scales: int = Field(ge=1)
    boxes: tuple[float, float]  # shortest and longest side of a hole, fractions of the image's
    whole: float = Field(ge=0, le=1)  # fraction of the training images of which nothing stays

    @model_validator(mode="after")
    def _in_order(self) -> "Config":
        if not 0 < self.boxes[0] <= self.boxes[1] <= 1:
            raise ValueError("boxes must be fractions of the image's sides, the shorter first")
        return self


class Generator(nn.Module):
    """Encode image, layout and hole, transform them, decode with SPADE's blocks.

    A core of pix2pixHD's residual blocks and then of SPADE's, dilated but for the first and the
    last, at a quarter of the size.
    """

    def __init__(self, num_classes: int, config: Config) -> None:
        super().__init__()
        width, known = config.width, num_classes + 1

        def modulation(channels: int) -> nn.Module:
            return Spade(channels, known, config.hidden)

        grids = [width * 2**level for level in range(HALVINGS + 1)]
        core, blocks = grids[-1], range(config.num_blocks)
        self.encoder = nn.Sequential(
            normed(reflecting(3 + known, width, 7)),
            *(halving(fine, 2 * fine) for fine in grids[:-1]),
            *(ResidualBlock(core, dilation=2 if number else 1) for number in blocks),
        )
        self.core = nn.ModuleList(
            ModulatedBlock(core, core, modulation, dilation=dilation)
            for dilation in (*(2 for _ in blocks), 1)
        )
        self.up = nn.ModuleList(
            ModulatedBlock(coarse, coarse // 2, modulation) for coarse in reversed(grids[1:])
        )
        self.rgb = conv(width, 3, 3)

    def forward(self, image: Tensor, layout: Tensor, hole: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32.

        The image [B,3,H,W] is 0 in the hole [B,1,H,W], which is 1 there; layout [B,C,H,W].
        """
        known = torch.cat([layout, hole], 1)
        condition = Condition(known)
        x = self.encoder(torch.cat([image, known], 1))
        for block in self.core:
            x = block(x, condition)
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2, mode="nearest"), condition)
        return torch.tanh(self.rgb(activate(x)).float())


@dataclass(frozen=True)
class Sesame:
    """The method: generator G, two-stream critic D."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases = alternate
    generator_loss, critic_loss = hinged.generator_loss, hinged.critic_loss

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        hole = self.hole(batch.label, [progress.rng] * len(layout)).to(batch.image)
        known = torch.cat([layout, hole], 1)
        return hinged.in_turn(
            lambda: self._paint(self.nets, batch.image, layout, hole),
            lambda fake: self.generator_loss(batch.image, fake, known),
            lambda fake: self.critic_loss(batch.image, fake, known),
            reuse=self.config.reuse_fake,
        )

    def request(self, batch: Batch, rng: torch.Generator) -> PaintRequest:
        """Return the layouts of real pairs, and their images outside of holes."""
        hole = self.hole(batch.label, [rng] * len(batch.label))
        return PaintRequest(batch.label, around=Around(batch.image, hole[:, 0] < 0.5))

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W]; pixels that stay are those of the request, value for value."""
        layout = request.planes(self.given.num_classes)
        if request.around is None:
            hole = layout.new_ones(len(layout), 1, *layout.shape[2:])
            image = layout.new_zeros(len(layout), 3, *layout.shape[2:])
        else:
            hole, image = (~request.around.mask)[:, None].to(layout), request.around.image
        return self._paint(nets, image, layout, hole)

    def hole(self, label: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw a hole in each label map [B,H,W], `[B,1,H,W]`, 1 inside."""
        height, width = label.shape[1:]
        numbers = rand(rngs, (5,)).to(label.device)
        place = _places(onehot(label, self.given.num_classes), numbers[:, :2])
        middle = torch.stack([place // width, place % width], 1) + 0.5
        low, high = self.config.boxes
        halves = (low + (high - low) * numbers[:, 2:4]) / 2
        inside = [
            (torch.arange(length, device=label.device) + 0.5 - middle[:, axis, None]).abs()
            <= length * halves[:, axis, None]
            for axis, length in enumerate((height, width))
        ]
        boxes = inside[0][:, :, None] & inside[1][:, None, :]
        whole = numbers[:, 4] < self.config.whole
        return (boxes | whole[:, None, None])[:, None].float()

    def _paint(self, nets: nn.ModuleDict, image: Tensor, layout: Tensor, hole: Tensor) -> Tensor:
        painted = nets["G"](image * (1 - hole), layout, hole)
        return torch.where(hole > 0.5, painted, image)


def _places(planes: Tensor, numbers: Tensor) -> Tensor:
    """Choose a pixel `[B]` of each layout [B,C,H,W]: a class that is there, and one of its pixels.

    `numbers` uniform in [0, 1), [B,2], choose class and pixel.
    """
    flat = planes.flatten(2)
    shown = flat.sum(2) > 0
    class_id = _nth(shown, numbers[:, 0])
    chosen = flat[torch.arange(len(flat)), class_id] > 0
    return _nth(chosen, numbers[:, 1])


def _nth(mask: Tensor, numbers: Tensor) -> Tensor:
    """Return the place `[B]` of one of the true items of each row of a mask [B,N]."""
    ranks = mask.cumsum(1)
    wanted = (numbers * ranks[:, -1]).long() + 1
    return (ranks >= wanted[:, None]).int().argmax(1)


def build(config: Config, given: Given) -> Sesame:
    """Build SESAME.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, with 35 classes: G 20,491,587 parameters.
    """
    check_size(given.size, HALVINGS, smallest=3, fix="choose another painter")
    perceptual = config.perceptual()
    nets = nn.ModuleDict(
        {
            "G": Generator(given.num_classes, config),
            "D": TwoStreamCritic(
                given.num_classes + 1,
                width=config.critic_width,
                num_layers=config.critic_layers,
                num_scales=config.critic_scales,
            ),
        }
    )
    set_gain(nets["D"], config.init_gain)
    for part in (nets["G"].core, nets["G"].up, nets["G"].rgb):  # the others begin as PyTorch draws
        set_gain(part, config.init_gain)  # pyright: ignore[reportArgumentType]  # modules
    spans = (Span(config.num_images, config.batch_size),)
    return Sesame(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, cast_generator, joins=True)
