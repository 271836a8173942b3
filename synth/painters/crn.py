"""Cascaded refinement networks (Chen and Koltun, ICCV 2017): no critic, a perceptual loss.

Modules at doubling sizes refine what the one before made, each shown the layout at its own size.
The loss is a weighted sum of L1 distances in features of a pretrained network, and of pixels. One
image for a layout: the variant with several outputs is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from data.pairs.batches import Batch
from synth.nets.layers import set_gain
from synth.painters.common.adversarial import adam, alternate, average, request_real
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import cast
from synth.painters.common.pyramid import check_size
from synth.painters.common.refinement import Cascade, RefinedParams, Sight, nearness, widths
from synth.training.method import Given, Losses, PaintRequest, Progress, Span, computed


class Config(RefinedParams):
    """Section `painters.crn` of `params.yaml`."""


@dataclass(frozen=True)
class Crn:
    """The method: generator G, and what it is judged with."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: Sight | None

    generators, critics = ("G",), ()
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            made.append(self.nets["G"](layout))
            return nearness(self, batch.image, made[0])

        return Losses(generator, dict, made)

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W]; nothing is drawn, one layout has one image."""
        return nets["G"](request.planes(self.given.num_classes)).clamp(-1, 1)


def build(config: Config, given: Given) -> Crn:
    """Build a cascaded refinement network.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, at 128x256 with 35 classes: G 93,821,955 parameters.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    channels = widths(config.num_doublings, config.width, given.size[0])
    nets = nn.ModuleDict({"G": Cascade(given.num_classes, channels)})
    set_gain(nets, config.init_gain)
    spans = (Span(config.num_images, config.batch_size),)
    return Crn(config, given, nets, spans, perceptual)


ENTRY = Entry(Config, build, cast, joins=True)
