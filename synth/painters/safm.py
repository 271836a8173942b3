"""SAFM (Lv et al., CVPR 2022): where a pixel lies in its object, modulated by what it is.

Position descriptors of objects (`synth.painters.common.positions`) are filtered twice by kernels
that the layout predicts, pixel by pixel, once at full size; layout, descriptors and what they
became then condition SPADE's pyramid. The critic sees image and layout apart (SESAME); a segmenter
that learns from real images alone asks painted ones for their layout. Descriptors of a soft layout
are those of its likeliest classes, without gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.nets.critics import SegmentationCritic, TwoStreamCritic, halvings
from synth.nets.layers import Condition, conv, edges, filtered, set_gain
from synth.nets.losses import hinge_critic, real_cross_entropy
from synth.painters.common import hinged
from synth.painters.common.adversarial import (
    adam,
    alternate,
    average,
    in_turn,
    judge,
    request_real,
)
from synth.painters.common.entry import Entry
from synth.painters.common.positions import BINS, descriptors
from synth.painters.common.prepared import cast
from synth.painters.common.pyramid import (
    Pyramid,
    Stage,
    check_size,
    layout_seed,
    spade_block,
    spade_stages,
)
from synth.training.method import Given, Losses, PaintRequest, Progress, Span, computed


class Config(hinged.HingeParams, hinged.ClassParams):
    """Section `painters.safm` of `params.yaml`."""

    smallest_object: int = Field(ge=1)  # pixels
    largest_object: float = Field(gt=0, le=1)  # fraction of the image
    alignment_weight: float = Field(ge=0)
    alignment_start: int = Field(ge=0)  # images shown before painted ones are asked
    segmenter_width: int = Field(ge=1)
    segmenter_depth: int = Field(ge=1)


class Fusion(nn.Module):
    """Filter what is known of positions by kernels predicted from the layout, twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.what, self.where = conv(channels, channels, 3), conv(BINS, channels, 3)
        self.kernels = nn.ModuleList(
            nn.Sequential(conv(channels, channels, 3), nn.ReLU(), conv(channels, 9 * channels, 3))
            for _ in range(2)
        )

    def forward(self, layout: Tensor, positions: Tensor) -> Tensor:
        """Return features [B,K,H,W] of a layout [B,K,H,W] and descriptors [B,72,H,W]."""
        what, x = F.relu(self.what(layout)), F.relu(self.where(positions))
        for kernel in self.kernels:
            x = filtered(x, kernel(what))
        return x


class Generator(nn.Module):
    """SPADE's pyramid on layout, descriptors, and the fusion of both."""

    def __init__(self, channels: int, stages: tuple[Stage, ...], hidden: int) -> None:
        super().__init__()
        known = channels + BINS
        self.fusion = Fusion(channels)
        block = spade_block(known + channels, hidden)
        self.pyramid = Pyramid(layout_seed(known, stages), stages, block)

    def forward(self, layout: Tensor, positions: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32, of a layout with edges [B,K,H,W]."""
        known = torch.cat([layout, positions], 1)
        fused = torch.cat([known, self.fusion(layout, positions).to(known)], 1)
        seed = self.pyramid.sow(Condition(known), layout.shape[-2:])
        return self.pyramid.paint(Condition(fused), seed)


@dataclass(frozen=True)
class Safm:
    """The method: generator G, two-stream critic D, segmenter S that learns beside it."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = ("G",), ("D", "S")
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        shown, positions = self._map(layout), self._positions(layout)
        asked = progress.images >= self.config.alignment_start
        return in_turn(
            lambda: self.nets["G"](shown, positions),
            lambda fake: (
                hinged.matched(self, batch.image, fake, shown)
                | (self._aligned(fake, layout) if asked else {})
            ),
            lambda fake: self.critic_loss(batch.image, fake, layout),
            reuse=self.config.reuse_fake,
        )

    def critic_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Tell real from fake, [B,3,H,W], by the hinge, and name the classes of real pixels."""
        scores = judge(self.nets["D"], real=real, fake=fake, layout=self._map(layout))
        return {"critic": hinge_critic(*scores), "classes": self._named(real, layout)}

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W]; nothing is drawn, one layout has one image."""
        layout = request.planes(self.given.num_classes)
        return nets["G"](self._map(layout), self._positions(layout))

    def _aligned(self, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        return {"alignment": self.config.alignment_weight * self._named(fake, layout)}

    def _named(self, image: Tensor, layout: Tensor) -> Tensor:
        logits = self.nets["S"](image)
        # the loss of OASIS, whose first class is "fake": here nothing is
        logits = torch.cat([torch.full_like(logits[:, :1], -1e4), logits], 1)
        return real_cross_entropy(logits, layout, self.config.weights(layout))

    def _map(self, layout: Tensor) -> Tensor:
        return torch.cat([layout, edges(layout)], 1)

    def _positions(self, layout: Tensor) -> Tensor:
        config = self.config
        return descriptors(layout.argmax(1), config.smallest_object, config.largest_object)


def build(config: Config, given: Given) -> Safm:
    """Build SAFM, fused once as for street scenes.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, at 128x256 with 35 classes and edges: G 96,220,107 parameters, S 22,251,299.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    stages = spade_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    channels = given.num_classes + 1
    D = TwoStreamCritic(
        channels,
        width=config.critic_width,
        num_layers=config.critic_layers,
        num_scales=config.critic_scales,
    )
    S = SegmentationCritic(
        given.num_classes - 1,  # and none for "fake"
        width=config.segmenter_width,
        depth=halvings(given.size, config.segmenter_depth),
    )
    nets = nn.ModuleDict({"G": Generator(channels, stages, config.hidden), "D": D, "S": S})
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Safm(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, cast, joins=True)
