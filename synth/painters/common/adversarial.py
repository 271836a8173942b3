"""What painters share: their sections' keys, and what a class may take over as it is."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot
from data.pairs.sampling import Sampling
from data.stage.params import Params, Pretrained
from synth.nets.critics import MultiScalePatchCritic
from synth.nets.features import FeatureLoss
from synth.nets.losses import Perceptual, feature_matching, load_perceptual
from synth.training.method import AdamConfig, Losses, Painter, PaintRequest, Phase, Progress


class PainterParams(Params):
    """The keys that the sections of all painters have."""

    num_images: int = Field(gt=0)
    sampling: Sampling
    generator_lr: float = Field(gt=0)
    betas: tuple[float, float]
    ema: float = Field(ge=0, lt=1)


class CriticParams(PainterParams):
    """The further keys of painters with a critic."""

    critic_width: int = Field(ge=1)
    critic_lr: float = Field(gt=0)


class DoubledParams(CriticParams):
    """The further keys of painters whose channels halve where the grid doubles."""

    num_doublings: int = Field(ge=1, le=7)
    width: int = Field(ge=1)


class PerceptualParams(Params):
    """The keys of a perceptual loss, which is there only with a network."""

    perceptual_weight: float = Field(ge=0)
    vgg: Path | None
    pretrained: Pretrained | None

    @model_validator(mode="after")
    def _one_network(self) -> "PerceptualParams":
        if self.vgg is not None and self.pretrained is not None:
            raise ValueError(
                "`vgg` and `pretrained` are two networks for one loss; set one to null"
            )
        return self

    def perceptual(self) -> FeatureLoss | Perceptual | None:
        """Load the perceptual loss if there is one; `UserError` where its weights are missing."""
        if self.pretrained is not None:
            return FeatureLoss(self.pretrained)
        return None if self.vgg is None else load_perceptual(self.vgg)


class MatchParams(PerceptualParams):
    """The keys of losses that draw fake towards real: in the critic's features, and perceptual."""

    feature_matching_weight: float = Field(ge=0)


class PatchParams(DoubledParams, MatchParams):
    """The further keys of painters with a multi-scale patch critic."""

    critic_layers: Literal[3, 4]
    critic_scales: int = Field(ge=1)

    def critic(self, num_classes: int, *, spectral: bool) -> MultiScalePatchCritic:
        """Build the critic of an image beside its layout."""
        return MultiScalePatchCritic(
            num_classes + 3,
            width=self.critic_width,
            num_layers=self.critic_layers,
            num_scales=self.critic_scales,
            spectral=spectral,
        )


# == what a painter may take over as it is: `phases = alternate`, `kept = computed(average)` ==


class Adversarial(Painter, Protocol):
    """A painter whose optimizers its numbers decide."""

    @property
    def config(self) -> Any:
        """Its `CriticParams`, or `PainterParams` where it has no critics."""
        ...


def adam(method: Adversarial) -> dict[str, AdamConfig]:
    """Return the optimizers of generators and critics."""
    config = method.config
    rates: dict[str, float] = {name: config.generator_lr for name in method.generators}
    if method.critics:
        rates |= {name: config.critic_lr for name in method.critics}
    return {name: AdamConfig(lr, config.betas) for name, lr in rates.items()}


def average(method: Adversarial) -> dict[str, float]:
    """Keep averages of the generators, and the bank of looks where there is one."""
    kept: dict[str, float] = {name: method.config.ema for name in method.generators}
    return kept | ({"bank": 0.0} if "bank" in method.nets else {})


def alternate(method: Painter, batch: Batch, progress: Progress) -> Iterator[Phase]:
    """Yield the generators' phase, then the critics' where there are some."""
    losses = method.losses(batch, onehot(batch.label, method.given.num_classes), progress)
    yield Phase("generator", losses.generator, method.generators)
    if method.critics:
        yield Phase("critic", losses.critic, method.critics)


def request_real(method: Painter, batch: Batch, rng: torch.Generator) -> PaintRequest:
    """Return the layouts of real pairs."""
    return PaintRequest(batch.label)


def sample_one(
    method: Painter,
    nets: nn.ModuleDict,
    request: PaintRequest,
    rngs: Sequence[torch.Generator],
) -> Tensor:
    """Paint images `[B, 3, H, W]` of layouts; nothing is drawn, one layout has one image."""
    return nets["G"](request.planes(method.given.num_classes))


def in_turn(
    paint: Callable[[], Tensor],
    generator: Callable[[Tensor], dict[str, Tensor]],
    critic: Callable[[Tensor], dict[str, Tensor]],
    *,
    reuse: bool,
) -> Losses:
    """Return the losses of one step: the generator's of what it paints, the critic's of that.

    `paint` gives an image with its gradient. The critic is shown it without; unless `reuse`, one
    that is painted anew, by the generator that has just learnt and with noise of its own.
    """
    made: list[Tensor] = []

    def of_generator() -> dict[str, Tensor]:
        made.append(paint())
        return generator(made[0])

    def of_critic() -> dict[str, Tensor]:
        if reuse:
            return critic(made[0].detach())
        with torch.no_grad():
            fake = paint()
        return critic(fake)

    return Losses(of_generator, of_critic, made)


# == losses beside a critic that scores an image and its layout, and has features ==


def match(
    config: MatchParams,
    critic: nn.Module,
    perceptual: nn.Module | None,
    *,
    real: Tensor,
    fake: Tensor,
    layout: Tensor,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return the critic's scores of fake, and the terms that draw its features towards real.

    Images are `[B, 3, H, W]`, the layout `[B, C, H, W]`, scores `[B, 1, h, w]` by scale. The terms
    are weighted: `feature_matching`, and `perceptual` where there is such a loss.
    """
    scores, features = critic(fake, layout)
    with torch.no_grad():
        _, wanted = critic(real, layout)
    weight = config.feature_matching_weight
    terms = {"feature_matching": weight * feature_matching(wanted, features)}
    if perceptual is not None:
        perceptual.to(fake.device)
        terms["perceptual"] = config.perceptual_weight * perceptual(fake, real)
    return scores, terms


def judge(
    critic: nn.Module, *, real: Tensor, fake: Tensor, layout: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return scores of images `[B, 3, H, W]`, real and fake, in one pass: norms keep them apart."""
    scores, _ = critic(torch.cat([real, fake]), torch.cat([layout, layout]))
    halves = [score.chunk(2) for score in scores]
    return [real for real, _ in halves], [fake for _, fake in halves]
