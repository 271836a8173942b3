"""The recipe that SPADE and its descendants share: hinge loss, feature and perceptual matching.

A method takes over `generator_loss` and `critic_loss`, one that may have an encoder `coded_losses`
and `coded_sample` too; its critic `D` scores an image beside its layout. A second critic `S`, where
there is one, names the class of every pixel (OASIS, Schoenfeld et al., ICLR 2021): alignment with
the layout without a pretrained network.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from data.stage.params import Params
from synth.nets.critics import SegmentationCritic, halvings
from synth.nets.losses import (
    class_weights,
    fake_cross_entropy,
    hinge_critic,
    hinge_generator,
    real_cross_entropy,
)
from synth.painters.common.adversarial import Adversarial, PatchParams, in_turn, judge, match
from synth.painters.common.encoding import asked_code, own_code
from synth.training.method import Given, Losses, PaintRequest, Progress


class RecipeParams(Params):
    """The keys of the recipe itself."""

    batch_size: int = Field(ge=2)
    hidden: int = Field(ge=1)
    reuse_fake: bool
    init_gain: float = Field(gt=0)


class HingeParams(RecipeParams, PatchParams):
    """The keys of painters that learn as SPADE does, with its critic."""

    max_channels: int = Field(ge=1)


class ClassParams(Params):
    """The keys of weights of classes: (inverse frequency) ** power, at most the maximum."""

    class_weight_power: float = Field(ge=0)
    class_weight_max: float | None = Field(gt=0)

    def weights(self, layout: Tensor) -> Tensor:
        """Weigh the classes `[C]` of a batch of layouts `[B, C, H, W]`."""
        return class_weights(layout, power=self.class_weight_power, most=self.class_weight_max)


class SegmentedParams(ClassParams):
    """The keys of a segmentation critic beside the patch critic; it is there with a weight."""

    segmentation_weight: float = Field(ge=0)
    segmentation_width: int = Field(ge=1)
    segmentation_depth: int = Field(ge=1)

    def segmenting(self, given: Given) -> dict[str, nn.Module]:
        """Build the critic `S`, nothing without a weight.

        It halves `segmentation_depth` times, or as often as both sides allow.
        """
        if not self.segmentation_weight:
            return {}
        depth = halvings(given.size, self.segmentation_depth)
        critic = SegmentationCritic(given.num_classes, width=self.segmentation_width, depth=depth)
        return {"S": critic}


class Hinged(Adversarial, Protocol):
    """A painter that learns so."""

    @property
    def perceptual(self) -> nn.Module | None:
        """Its perceptual loss, if there is one."""
        ...


def generators(method: Hinged) -> tuple[str, ...]:
    """Name the generator, and the encoder where there is one."""
    return tuple(name for name in ("G", "E") if name in method.nets)


def critics(method: Hinged) -> tuple[str, ...]:
    """Name the critics."""
    return tuple(name for name in ("D", "S") if name in method.nets)


def generator_loss(method: Hinged, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
    """Return the terms of `matched`, and that of the segmentation critic where there is one."""
    return matched(method, real, fake, layout) | _aligned(method, fake, layout)


def matched(method: Hinged, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
    """Raise scores of images `[B, 3, H, W]`, match features of critic and pretrained net."""
    D, shown = method.nets["D"], {"real": real, "fake": fake, "layout": layout}
    scores, matching = match(method.config, D, method.perceptual, **shown)
    return {"hinge": hinge_generator(scores)} | matching


def critic_loss(method: Hinged, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
    """Tell real from fake, `[B, 3, H, W]`, by the hinge; layout `[B, C, H, W]`, may be soft."""
    scores = judge(method.nets["D"], real=real, fake=fake, layout=layout)
    terms = {"critic": hinge_critic(*scores)}
    if "S" in method.nets:
        config: Any = method.config
        S = method.nets["S"]
        terms["classes"] = real_cross_entropy(S(real), layout, config.weights(layout))
        terms["no_class"] = fake_cross_entropy(S(fake))
    return terms


def coded_losses(method: Hinged, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
    """Return the losses of one step on layouts `[B, C, H, W]`, of a `G` that may be given codes.

    With an encoder each layout is painted with the code of its own image.
    """
    terms: dict[str, Tensor] = {}

    def paint() -> Tensor:
        code, found = own_code(method, batch.image, progress.rng)
        terms.update(found)
        return method.nets["G"](layout, code)

    return in_turn(
        paint,
        lambda fake: generator_loss(method, batch.image, fake, layout) | terms,
        lambda fake: critic_loss(method, batch.image, fake, layout),
        reuse=method.config.reuse_fake,
    )


def coded_sample(
    method: Hinged, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
) -> Tensor:
    """Paint images `[B, 3, H, W]`, with an encoder in the looks asked for, else without any."""
    layout, code = request.planes(method.given.num_classes), asked_code(nets, request, rngs)
    return nets["G"](layout) if code is None else nets["G"](layout, code)


def _aligned(method: Hinged, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
    if "S" not in method.nets:
        return {}
    config: Any = method.config
    loss = real_cross_entropy(method.nets["S"](fake), layout, config.weights(layout))
    return {"segmentation": config.segmentation_weight * loss}
