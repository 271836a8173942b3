"""LGGAN (Tang et al., CVPR 2020): a generator for the whole beside one for each class.

Features of the layout feed a SPADE pyramid (global), a generator whose last layer is a class's own,
for what lies in its region (local), and a map of weights that sum to 1:
image = A_local * local + A_global * global. A classifier of the features of every region keeps
those of classes apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.nets.layers import Condition, linear, set_gain
from synth.nets.losses import hinge_critic, hinge_generator
from synth.painters.common.adversarial import (
    adam,
    alternate,
    average,
    judge,
    match,
    request_real,
)
from synth.painters.common.entry import Entry
from synth.painters.common.hinged import HingeParams
from synth.painters.common.prepared import cast
from synth.painters.common.pyramid import Pyramid, Stage, check_size, spade_block, spade_stages
from synth.painters.common.translating import (
    ResidualBlock,
    doubling,
    halving,
    initialise,
    normed,
    reflecting,
)
from synth.training.method import Given, Losses, PaintRequest, Progress, Span, computed

HALVINGS = 2  # of the features that the local generator and the weights are made of


class Config(HingeParams):
    """Section `painters.lggan` of `params.yaml`."""

    encoder_width: int = Field(ge=1)
    num_blocks: int = Field(ge=0)
    class_weight: float = Field(ge=0)
    local_weight: float = Field(ge=0)
    init_std: float = Field(gt=0)


class Painted(NamedTuple):
    """What is painted: the fused image and the two it is made of, [B,3,H,W] in [-1,1].

    `by_class` [B,C,3,H,W] are the images of each class's generator, `logits` [B,C,C] what the
    classifier says of the features of each class's region.
    """

    fused: Tensor
    local: Tensor
    whole: Tensor
    by_class: Tensor
    logits: Tensor


class LocalGenerator(nn.Module):
    """Features at full size, of which each class's own layer paints those in its region."""

    def __init__(self, num_classes: int, width: int, num_blocks: int) -> None:
        super().__init__()
        inner = 4 * width
        self.features = nn.Sequential(
            *(ResidualBlock(inner) for _ in range(num_blocks)),
            doubling(inner, inner // 2),
            doubling(inner // 2, width),
        )
        self.classes = nn.ModuleList(reflecting(width, 3, 7) for _ in range(num_classes))
        self.joined = nn.Conv2d(3 * num_classes, 3, 3, padding=1)
        self.classifier = linear(width, num_classes)

    def forward(self, encoded: Tensor, layout: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the image, those by class [B,C,3,H,W], and the classifier's logits [B,C,C]."""
        features = self.features(encoded)
        by_class = torch.stack(
            [
                torch.tanh(layer(features * layout[:, place : place + 1]).float())
                for place, layer in enumerate(self.classes)
            ],
            1,
        )
        joined = self.joined(by_class.flatten(1, 2).to(features))
        image = torch.tanh(joined.float())
        means = torch.einsum("bkhw,bchw->bck", features, layout.to(features))
        return image, by_class, self.classifier(means / layout[0, 0].numel())


class Generator(nn.Module):
    """The encoder of the layout, both generators, and the map that fuses them."""

    def __init__(self, num_classes: int, stages: tuple[Stage, ...], config: Config) -> None:
        super().__init__()
        width = config.encoder_width
        inner = 4 * width
        fine = [normed(reflecting(num_classes, width, 7))]
        fine += [halving(width * 2**level, width * 2 ** (level + 1)) for level in range(HALVINGS)]
        self.fine = nn.Sequential(*fine)
        seeded = stages[0].in_channels
        self.coarse = nn.Sequential(halving(inner, 2 * inner), halving(2 * inner, seeded))
        self.whole = Pyramid(None, stages, spade_block(num_classes, config.hidden))
        self.local = LocalGenerator(num_classes, width, config.num_blocks)
        self.weights = nn.Sequential(
            doubling(inner, inner // 2), doubling(inner // 2, width), nn.Conv2d(width, 2, 1)
        )

    def parts(self, layout: Tensor) -> Painted:
        """Paint a layout [B,C,H,W], and return all that the losses look at."""
        encoded = self.fine(layout)
        factor = 2 ** sum(self.whole.doubles)
        base = [side // factor for side in layout.shape[-2:]]
        seed = F.interpolate(self.coarse(encoded), size=base, mode="nearest")
        whole = self.whole.paint(Condition(layout), seed)
        local, by_class, logits = self.local(encoded, layout)
        of_local, of_whole = self.weights(encoded).float().softmax(1).split(1, 1)
        return Painted(of_local * local + of_whole * whole, local, whole, by_class, logits)

    def forward(self, layout: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32, of a layout [B,C,H,W]."""
        return self.parts(layout).fused


@dataclass(frozen=True)
class Lggan:
    """The method: generator G, patch critic D that judges fused, local and global images."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    generators, critics = ("G",), ("D",)
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []
        judged: list[Tensor] = []
        G = self.nets["G"]
        assert isinstance(G, Generator)

        def generator() -> dict[str, Tensor]:
            painted = G.parts(layout)
            made.append(painted.fused)
            judged[:] = [image.detach() for image in painted[:3]]
            return self.generator_loss(batch.image, painted, layout)

        def critic() -> dict[str, Tensor]:
            if not self.config.reuse_fake:
                with torch.no_grad():
                    judged[:] = G.parts(layout)[:3]
            return self.critic_loss(batch.image, judged, layout)

        return Losses(generator, critic, made)

    def generator_loss(self, real: Tensor, fake: Painted, layout: Tensor) -> dict[str, Tensor]:
        """Return the terms of SPADE for each of the three images, and those of the classes."""
        terms: dict[str, Tensor] = {}
        for image in fake[:3]:
            shown = {"real": real, "fake": image, "layout": layout}
            scores, matching = match(self.config, self.nets["D"], self.perceptual, **shown)
            for name, term in ({"hinge": hinge_generator(scores)} | matching).items():
                terms[name] = terms[name] + term if name in terms else term
        shown = layout.sum((2, 3)) > 0
        terms["classes"] = self.config.class_weight * _told_apart(fake.logits, shown)
        # of a class: mean over pixels and channels of the difference in its region
        apart = (fake.by_class - layout[:, :, None] * real[:, None]).abs().mean((0, 2, 3, 4))
        terms["local"] = self.config.local_weight * apart.sum()
        return terms

    def critic_loss(
        self, real: Tensor, fakes: Sequence[Tensor], layout: Tensor
    ) -> dict[str, Tensor]:
        """Tell real from each of the three fakes by the hinge, as released: a sum."""
        terms = [
            hinge_critic(*judge(self.nets["D"], real=real, fake=fake, layout=layout))
            for fake in fakes
        ]
        return {"critic": torch.stack(terms).sum()}

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W]; nothing is drawn, one layout has one image."""
        return nets["G"](request.planes(self.given.num_classes))


def _told_apart(logits: Tensor, shown: Tensor) -> Tensor:
    """Ask that classes shown [B,C] are told from logits [B,C,C] of their regions."""
    wanted = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    losses = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    return ((losses.view_as(shown) * shown).sum(1) / shown.sum(1)).mean()


def build(config: Config, given: Given) -> Lggan:
    """Build LGGAN.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss.
    """
    check_size(given.size, max(config.num_doublings, HALVINGS + 1))
    perceptual = config.perceptual()
    stages = spade_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    G = Generator(given.num_classes, stages, config)
    nets = nn.ModuleDict({"G": G, "D": config.critic(given.num_classes, spectral=True)})
    set_gain(nets["D"], config.init_gain)
    set_gain(G.whole, config.init_gain)
    for part in (G.fine, G.coarse, G.local, G.weights):
        initialise(part, config.init_std)
    spans = (Span(config.num_images, config.batch_size),)
    return Lggan(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, cast, joins=True)
