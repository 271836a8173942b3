"""End-to-end fine-tuning of a layout generator and a painter (SB-GAN; Semantic Palette, CVPR 2021).

A second critic, D2, judges images alone: what the painter makes of generated layouts against real
images. Its gradient goes through the painter into the layout generator. Everything else is what
layout method and painter are trained with by themselves, on the layouts as the layout critic sees
them: blurred real ones and soft fakes for Semantic Palette, one-hot and drawn classes for SB-GAN.

Both generators start from their trained averages, and their critics from where trainings left them:
those judged the last weights, not the averages. The second critic starts anew. In a warm-up the
generators stand still and all critics learn, as SB-GAN does with D2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from data.stage.params import Params
from synth.nets.critics import MultiScalePatchCritic
from synth.nets.losses import hinge_critic, hinge_generator
from synth.training.method import (
    AdamConfig,
    Given,
    Losses,
    Method,
    Painter,
    PaintRequest,
    Phase,
    Progress,
    Span,
)

LAYOUT, PAINTER = "layout", "painter"
IMAGE_CRITIC = "D2"

T = TypeVar("T")


class Config(Params):
    """A section of `joints`."""

    num_images: int = Field(gt=0)
    batch_size: int = Field(ge=2)
    warm_up_images: int = Field(ge=0)
    layout_weight: float = Field(ge=0)
    image_critic_weight: float = Field(ge=0)
    freeze_layout: bool
    critic_width: int = Field(ge=1)
    critic_layers: int = Field(ge=3, le=4)
    critic_scales: int = Field(ge=1)
    layout_lr: float = Field(gt=0)
    layout_critic_lr: float = Field(gt=0)
    layout_betas: tuple[float, float]
    painter_lr: float = Field(gt=0)
    painter_critic_lr: float = Field(gt=0)
    painter_betas: tuple[float, float]
    image_critic_lr: float = Field(gt=0)
    image_critic_betas: tuple[float, float]
    ema: float = Field(ge=0, lt=1)


class JoinedLayout(Method, Protocol):
    """A layout method that can be joined, for `Entry.joins`."""

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Sizes (height, width) of the trained levels."""
        ...

    @property
    def given(self) -> Given:
        """What it was built for."""
        ...

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step."""
        ...

    def real(self, label: Tensor, size: tuple[int, int]) -> Tensor:
        """Return labels `[B, H, W]` as the layout critic sees them, `[B, C, h, w]`."""
        ...

    def full(self, made: Tensor) -> Tensor:
        """Enlarge made layouts `[B, C, h, w]` to the size of the pairs."""
        ...


@dataclass(frozen=True)
class Joint:
    """The method: the networks of `layout` and `painter` themselves, and `D2`.

    They are called `layout_G`, `painter_D` and so on.
    """

    config: Config
    layout: JoinedLayout
    painter: Painter
    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    generators: tuple[str, ...]
    critics: tuple[str, ...]
    kept: Mapping[str, float]

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One step of both generators, then one of all critics; in the warm-up of critics alone."""
        config, frozen = self.config, self.config.freeze_layout
        layouts = self.layout.losses(batch, progress)
        real = self.layout.real(batch.label, self.layout.given.size)
        images = self.painter.losses(batch, real, progress)
        painted: list[Tensor] = []

        def generators() -> dict[str, Tensor]:
            terms = self._layout_terms(layouts) | named(PAINTER, images.generator())
            painted.append(self._paint(layouts, progress))
            scores, _ = self._judge(painted[0])
            return terms | {"D2": config.image_critic_weight * hinge_generator(scores)}

        def judged() -> dict[str, Tensor]:
            if not painted:  # the warm-up: what is judged must be made first
                with torch.no_grad():
                    generators()
            terms = {} if frozen else self._weighted(layouts.critic())
            scores, _ = self._judge(torch.cat([batch.image, painted[0].detach()]))
            halves = [score.split(len(batch.image)) for score in scores]
            loss = hinge_critic([real for real, _ in halves], [fake for _, fake in halves])
            weighted = {"D2": config.image_critic_weight * loss}
            return terms | named(PAINTER, images.critic()) | weighted

        if progress.images >= config.warm_up_images:
            yield Phase("generators", generators, self.generators)
        yield Phase("critics", judged, self.critics)

    def request(self, batch: Batch, rng: torch.Generator) -> tuple[Any, PaintRequest]:
        """Make what the layout method is asked for, and what the painter is."""
        return self.layout.request(batch, rng), self.painter.request(batch, rng)

    def sample(
        self,
        nets: nn.ModuleDict,
        request: tuple[Any, PaintRequest],
        rngs: Sequence[torch.Generator],
    ) -> Tensor:
        """Paint images `[B, 3, H, W]`; layouts are drawn too, to renew their statistics."""
        asked, shown = request
        if layout_nets := part(nets, LAYOUT):
            self.layout.sample(layout_nets, asked, rngs)
        return self.painter.sample(part(nets, PAINTER), shown, rngs)

    def _layout_terms(self, layouts: Losses) -> dict[str, Tensor]:
        if not self.config.freeze_layout:
            return self._weighted(layouts.generator())
        with torch.no_grad():  # for the layouts alone
            layouts.generator()
        return {}

    def _weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        return named(
            LAYOUT, {name: self.config.layout_weight * term for name, term in terms.items()}
        )

    def _paint(self, layouts: Losses, progress: Progress) -> Tensor:
        fake = self.layout.full(layouts.made[0])
        rngs = [progress.rng] * len(fake)
        return self.painter.sample(self.painter.nets, PaintRequest(fake), rngs)

    def _judge(self, image: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        return self.nets[IMAGE_CRITIC](image, image[:, :0])  # beside no layout


def part(nets: nn.ModuleDict, kind: str) -> nn.ModuleDict:
    """Return the networks of the layout method or of the painter under their own names."""
    return nn.ModuleDict(
        {name.removeprefix(f"{kind}_"): net for name, net in nets.items() if name.startswith(kind)}
    )


def part_of_curve(curve: Sequence[Mapping[str, float]], kind: str) -> list[dict[str, float]]:
    """Return a training curve with the terms of one half; those of D2 are the painter's."""

    def belongs(name: str) -> bool:
        return name == "images" or name.partition("/")[2].startswith(f"{LAYOUT}_") == (
            kind == LAYOUT
        )

    return [{name: value for name, value in point.items() if belongs(name)} for point in curve]


def build(config: Config, layout: JoinedLayout, painter: Painter) -> Joint:
    """Join a layout method and a painter whose networks hold the weights to start from.

    Training shows `warm_up_images` to the critics alone, then `num_images`. With `freeze_layout`
    the layout generator stays what it is and only the painter learns.
    """
    parts: dict[str, Method] = {LAYOUT: layout, PAINTER: painter}
    learning = [PAINTER] if config.freeze_layout else [LAYOUT, PAINTER]
    nets, optimizers = nn.ModuleDict(), {}
    for kind, method in parts.items():
        names = dict.fromkeys([*method.generators, *method.critics, *method.kept])
        nets.update({f"{kind}_{name}": method.nets[name] for name in names})
        optimizers |= named(kind, _adam(config, kind, method))
    nets[IMAGE_CRITIC] = MultiScalePatchCritic(
        3,
        width=config.critic_width,
        num_layers=config.critic_layers,
        num_scales=config.critic_scales,
    )
    optimizers[IMAGE_CRITIC] = AdamConfig(config.image_critic_lr, config.image_critic_betas)
    level = len(layout.sizes) - 1
    counts = [n for n in (config.warm_up_images, config.num_images) if n]
    generators = [f"{kind}_{name}" for kind in learning for name in parts[kind].generators]
    critics = [f"{kind}_{name}" for kind in learning for name in parts[kind].critics]
    kept = [f"{kind}_{name}" for kind in learning for name in parts[kind].kept]
    return Joint(
        config,
        layout,
        painter,
        nets,
        optimizers=optimizers,
        spans=tuple(Span(count, config.batch_size, level) for count in counts),
        generators=tuple(generators),
        critics=(IMAGE_CRITIC, *critics),
        # what a method keeps and nobody trains stays what it is
        kept={name: config.ema if name in generators else 0.0 for name in kept},
    )


def _adam(config: Config, kind: str, method: Method) -> dict[str, AdamConfig]:
    rates = {
        LAYOUT: (config.layout_lr, config.layout_critic_lr, config.layout_betas),
        PAINTER: (config.painter_lr, config.painter_critic_lr, config.painter_betas),
    }
    lr, critic_lr, betas = rates[kind]
    return {name: AdamConfig(lr, betas) for name in method.generators} | {
        name: AdamConfig(critic_lr, betas) for name in method.critics
    }


def named(kind: str, terms: Mapping[str, T]) -> dict[str, T]:
    """Put the name of a half before what belongs to it."""
    return {f"{kind}_{name}": term for name, term in terms.items()}
