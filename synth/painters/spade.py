"""SPADE / GauGAN (Park et al., CVPR 2019): layout-modulated norms, hinge loss, patch critics.

Without an image encoder (one layout, one image) and without instance edges, which generated layouts
do not have.
"""

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.nets.layers import set_gain
from synth.nets.losses import hinge_critic, hinge_generator
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
from synth.painters.common.prepared import fold_generator
from synth.painters.common.pyramid import Pyramid, check_size, spade_stages
from synth.training.method import (
    Given,
    Losses,
    Progress,
    Span,
    computed,
)


class Config(PatchParams):
    """Section `painters.spade` of `params.yaml`."""

    batch_size: int = Field(ge=2)
    max_channels: int = Field(ge=1)
    hidden: int = Field(ge=1)
    reuse_fake: bool
    init_gain: float = Field(gt=0)


@dataclass(frozen=True)
class Spade:
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
            fake = made[0].detach() if self.config.reuse_fake else self._repaint(layout)
            return self.critic_loss(batch.image, fake, layout)

        return Losses(generator, critic, made)

    def generator_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Raise scores of images [B,3,H,W], match features of critic and pretrained net."""
        D, shown = self.nets["D"], {"real": real, "fake": fake, "layout": layout}
        scores, matching = match(self.config, D, self.perceptual, **shown)
        return {"hinge": hinge_generator(scores)} | matching

    def critic_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Tell real from fake, [B,3,H,W], by the hinge; layout [B,C,H,W], one-hot or soft."""
        scores = judge(self.nets["D"], real=real, fake=fake, layout=layout)
        return {"critic": hinge_critic(*scores)}

    def _repaint(self, layout: Tensor) -> Tensor:
        with torch.no_grad():
            return self.nets["G"](layout)


def build(config: Config, given: Given) -> Spade:
    """Build SPADE.

    `critic_layers` 4 is the paper's critic, 3 Semantic Palette's. Raises `UserError` for a size
    that cannot be painted and for missing weights of the perceptual loss. As published, with 35
    classes at 128x256: G 93,018,051 parameters.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    stages = spade_stages(
        config.num_doublings, width=config.width, max_channels=config.max_channels
    )
    nets = nn.ModuleDict(
        {
            "G": Pyramid(given.num_classes, stages, hidden=config.hidden),
            "D": config.critic(given.num_classes, spectral=True),
        }
    )
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Spade(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, fold_generator, joins=True)
