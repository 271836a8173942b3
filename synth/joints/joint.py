"""End-to-end fine-tuning of a layout generator and a painter (SB-GAN; Semantic Palette, CVPR 2021).

A second critic, D2, judges images alone: what the painter makes of generated layouts against real
images. Its gradient goes through the painter into the layout generator. Everything else is what
layout method and painter are trained with by themselves, on the layouts as the layout critic sees
them: blurred real ones and soft fakes for Semantic Palette, one-hot and drawn classes for SB-GAN.

Both generators start from their trained averages. Critics are not kept by trainings, and those
that were would have judged other weights than the averages: all three are learnt in a warm-up in
which the generators stand still, as SB-GAN does with D2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch
from data.stage.errors import UserError
from data.stage.params import Params
from synth.nets.critics import MultiScalePatchCritic
from synth.nets.losses import hinge_critic, hinge_generator
from synth.training.method import AdamConfig, Losses, Method, Phase, Progress, Span

LAYOUT, PAINTER = "layout", "painter"
IMAGE_CRITIC = "D2"


class Config(Params):
    """A section of `joints`; the defaults are Semantic Palette's (section 4.2 of its notes)."""

    num_images: int = Field(gt=0)
    batch_size: int = Field(4, ge=2)
    warm_up_images: int = Field(ge=0)
    layout_weight: float = Field(1.0, ge=0)
    image_critic_weight: float = Field(0.01, ge=0)
    freeze_layout: bool = False
    critic_width: int = Field(64, ge=1)
    critic_layers: int = Field(3, ge=3, le=4)
    critic_scales: int = Field(2, ge=1)
    layout_lr: float = Field(1e-4, gt=0)
    layout_critic_lr: float = Field(1e-4, gt=0)
    layout_betas: tuple[float, float] = (0.0, 0.99)
    painter_lr: float = Field(1e-4, gt=0)
    painter_critic_lr: float = Field(4e-4, gt=0)
    painter_betas: tuple[float, float] = (0.0, 0.9)
    image_critic_lr: float = Field(4e-4, gt=0)
    image_critic_betas: tuple[float, float] = (0.0, 0.9)
    ema: float = Field(0.999, ge=0, lt=1)


@runtime_checkable
class LayoutMethod(Protocol):
    """What a layout method offers for this besides being a method."""

    nets: nn.ModuleDict
    sizes: tuple[tuple[int, int], ...]
    size: tuple[int, int]

    def losses(self, batch: Batch, progress: Progress) -> Losses:
        """Return the losses of one step."""
        ...

    def real(self, label: Tensor, size: tuple[int, int]) -> Tensor:
        """Return real layouts as the layout critic sees them."""
        ...

    def full(self, made: Tensor) -> Tensor:
        """Enlarge made layouts to the size of the pairs."""
        ...


@dataclass(frozen=True)
class Joint:
    """The method: `layout_G`, `layout_D`, `painter_G`, `painter_D` and `D2`.

    The first four are the networks of `layout` and `painter` themselves.
    """

    nets: nn.ModuleDict
    optimizers: Mapping[str, AdamConfig]
    spans: tuple[Span, ...]
    ema: Mapping[str, float]
    layout: Any  # a `LayoutMethod` that is a `Method` too
    painter: Any  # a painter
    warm_up_images: int
    layout_weight: float
    image_critic_weight: float
    freeze_layout: bool

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """One step of both generators, then one of all critics; in the warm-up of critics alone."""
        layouts = self.layout.losses(batch, progress)
        real = self.layout.real(batch.label, self.layout.size)
        images = self.painter.losses(batch, real, progress)
        painted: list[Tensor] = []
        critics = [IMAGE_CRITIC, "painter_D"] + ([] if self.freeze_layout else ["layout_D"])

        def generators() -> dict[str, Tensor]:
            terms = self._layout_terms(layouts) | _named(PAINTER, images.generator())
            painted.append(self._paint(layouts, progress))
            scores, _ = self._judge(painted[0])
            return terms | {"D2": self.image_critic_weight * hinge_generator(scores)}

        def judged() -> dict[str, Tensor]:
            if not painted:  # the warm-up: what is judged must be made first
                with torch.no_grad():
                    generators()
            terms = {} if self.freeze_layout else self._weighted(layouts.critic())
            scores, _ = self._judge(torch.cat([batch.image, painted[0].detach()]))
            halves = [score.split(len(batch.image)) for score in scores]
            loss = hinge_critic([real for real, _ in halves], [fake for _, fake in halves])
            weighted = {"D2": self.image_critic_weight * loss}
            return terms | _named(PAINTER, images.critic()) | weighted

        if progress.images >= self.warm_up_images:
            trained = ("painter_G",) if self.freeze_layout else ("layout_G", "painter_G")
            yield Phase("generators", generators, trained)
        yield Phase("critics", judged, tuple(critics))

    def condition(self, batch: Batch, rng: torch.Generator) -> tuple[Any, Any]:
        """Make what the layout method is asked for, and what the painter is."""
        return self.layout.condition(batch, rng), self.painter.condition(batch, rng)

    def sample(
        self, nets: nn.ModuleDict, condition: tuple[Any, Any], rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint the painter's layouts; layouts are drawn too, to renew their statistics."""
        asked, shown = condition
        if "layout_G" in nets:
            self.layout.sample(part(nets, LAYOUT), asked, rngs)
        return self.painter.sample(part(nets, PAINTER), shown, rngs)

    def _layout_terms(self, layouts: Losses) -> dict[str, Tensor]:
        if not self.freeze_layout:
            return self._weighted(layouts.generator())
        with torch.no_grad():  # for the layouts alone
            layouts.generator()
        return {}

    def _weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        return _named(LAYOUT, {name: self.layout_weight * term for name, term in terms.items()})

    def _paint(self, layouts: Losses, progress: Progress) -> Tensor:
        fake = self.layout.full(layouts.made[0])
        return self.painter.sample(self.painter.nets, fake, [progress.rng] * len(fake))

    def _judge(self, image: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        return self.nets[IMAGE_CRITIC](image, image[:, :0])  # beside no layout


def part(nets: nn.ModuleDict, kind: str) -> nn.ModuleDict:
    """Return the networks of the layout method or of the painter under their own names."""
    return nn.ModuleDict(
        {name.removeprefix(f"{kind}_"): net for name, net in nets.items() if name.startswith(kind)}
    )


def part_of_curve(curve: Sequence[dict[str, float]], kind: str) -> list[dict[str, float]]:
    """Return a training curve with the terms of one half; those of D2 are the painter's."""

    def belongs(name: str) -> bool:
        return name == "images" or name.partition("/")[2].startswith(f"{LAYOUT}_") == (
            kind == LAYOUT
        )

    return [{name: value for name, value in point.items() if belongs(name)} for point in curve]


def build(
    *,
    layout: Method,
    painter: Method,
    num_images: int,
    batch_size: int,
    warm_up_images: int,
    layout_weight: float,
    image_critic_weight: float,
    freeze_layout: bool,
    critic_width: int,
    critic_layers: int,
    critic_scales: int,
    layout_lr: float,
    layout_critic_lr: float,
    layout_betas: tuple[float, float],
    painter_lr: float,
    painter_critic_lr: float,
    painter_betas: tuple[float, float],
    image_critic_lr: float,
    image_critic_betas: tuple[float, float],
    ema: float,
) -> Joint:
    """Join a layout method and a painter whose generators hold the weights to start from.

    Training shows `warm_up_images` to the critics alone, then `num_images`. With `freeze_layout`
    the layout generator stays what it is and only the painter learns. Raises `UserError` for a
    layout method that cannot be joined.
    """
    if not isinstance(layout, LayoutMethod):
        raise UserError(
            f"the layout method {type(layout).__name__} cannot be trained with a painter; use "
            "semantic_palette, partial_palette or sbgan in `train.joints`"
        )
    nets = nn.ModuleDict(
        {f"layout_{name}": layout.nets[name] for name in ("G", "D")}
        | {f"painter_{name}": painter.nets[name] for name in ("G", "D")}
        | {
            IMAGE_CRITIC: MultiScalePatchCritic(
                3, width=critic_width, num_layers=critic_layers, num_scales=critic_scales
            )
        }
    )
    optimizers = {
        "layout_G": AdamConfig(layout_lr, layout_betas),
        "layout_D": AdamConfig(layout_critic_lr, layout_betas),
        "painter_G": AdamConfig(painter_lr, painter_betas),
        "painter_D": AdamConfig(painter_critic_lr, painter_betas),
        IMAGE_CRITIC: AdamConfig(image_critic_lr, image_critic_betas),
    }
    tuned = ("painter_G",) if freeze_layout else ("layout_G", "painter_G")
    level = len(layout.sizes) - 1
    counts = [n for n in (warm_up_images, num_images) if n]
    return Joint(
        nets=nets,
        optimizers=optimizers,
        spans=tuple(Span(count, batch_size, level) for count in counts),
        ema={name: ema for name in tuned},
        layout=layout,
        painter=painter,
        warm_up_images=warm_up_images,
        layout_weight=layout_weight,
        image_critic_weight=image_critic_weight,
        freeze_layout=freeze_layout,
    )


def _named(kind: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{kind}_{name}": term for name, term in terms.items()}
