"""Training steps that tell real from synthetic pairs: separate passes, and AdvEnt.

In AdvEnt (Vu et al., CVPR 2019) a critic learns to tell real from synthetic images by the entropy
maps of their predictions, and the segmenter learns to make those of real images look synthetic,
where labels are exact. As released with Semantic Palette: one level, real pairs keep their own
supervised loss.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from data.stage.errors import UserError
from data.stage.params import Params
from segment.batches.mixes import Mix

SYNTHETIC, REAL = 0.0, 1.0  # what the critic says of each
CRITIC = 7  # names the draw of the critic's first weights
TINY = 1e-30


class Config(Params):
    """Section `adapt.advent` of params.yaml."""

    weight: float = Field(gt=0)
    width: int = Field(ge=1)
    lr: float = Field(gt=0)


def attach(
    model: nn.Module, mix: Mix, num_classes: int, config: Config, separate: bool = False
) -> None:
    """Make a model train with an entropy critic on the batches of `mix`, in `separate` passes.

    Raises `UserError` when the model's head is not one that returns class scores.
    """
    critic = build_critic(num_classes, config.width, mix.seed)
    Advent(model, critic, mix, config, separate).attach()


def losses_of(model: Any, data: dict[str, Any], num_real: int, separate: bool) -> dict[str, Tensor]:
    """Return the supervised losses of a preprocessed batch, real pairs first.

    Those of `separate` passes are summed: synthetic pairs first, then real ones, so that batch norm
    takes no mean over both, and its running statistics end with real pairs, as in the released
    code of Semantic Palette.
    """
    if not separate:
        return model(**data, mode="loss")
    found: dict[str, Tensor] = {}
    for part in (slice(num_real, None), slice(num_real)):
        losses = model(**{name: value[part] for name, value in data.items()}, mode="loss")
        found = {name: found[name] + loss if found else loss for name, loss in losses.items()}
    return found


class Separate:
    """The training step of a segmenter that sees real and synthetic pairs in passes of their own.

    `attach` puts it in the place of the model's own step; batches hold real pairs first. Batches of
    real pairs alone, at the end of some rows, take the model's own.
    """

    def __init__(self, model: Any, mix: Mix) -> None:
        self._model, self._mix = model, mix
        self._plain_step = model.train_step
        self._steps = 0

    def attach(self) -> None:
        """Take the place of the model's `train_step`."""
        self._model.train_step = self.train_step

    def train_step(self, data: Any, optim_wrapper: Any) -> Mapping[str, Tensor]:
        """Take one step on the sum of both losses."""
        self._steps += 1
        if self._steps > self._mix.num_mixed:
            return self._plain_step(data, optim_wrapper)
        with optim_wrapper.optim_context(self._model):
            data = self._model.data_preprocessor(data, True)
            losses = losses_of(self._model, data, self._mix.num_real, separate=True)
        total, shown = self._model.parse_losses(losses)
        optim_wrapper.update_params(total)
        return shown


def entropy_maps(logits: Tensor) -> Tensor:
    """Return the weighted self-information of class scores `[B, C, H, W]`, same shape.

    -p log2(p) / log2(C) per class, in [0, 1]; its sum over classes is 1 where all are equal.
    """
    p = logits.float().softmax(dim=1)
    return -p * (p + TINY).log2() / np.log2(logits.shape[1])


def build_critic(num_classes: int, width: int, seed: int) -> nn.Sequential:
    """Build the critic: five 4x4 convolutions of stride 2, channels width x 1, 2, 4, 8, then 1.

    Its weights are drawn without touching the global generator, so that a segmenter starts from
    the same weights with and without it.
    """
    channels = [num_classes, width, 2 * width, 4 * width, 8 * width, 1]
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence([seed, CRITIC]).generate_state(1)[0]))
        for inputs, outputs in pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class Advent:
    """The training step of a segmenter with an entropy critic; batches hold real pairs first.

    `attach` puts it in the place of the model's own step. The segmenter descends its supervised
    losses plus `weight` times the loss of a critic that takes real images for synthetic ones; the
    critic, kept outside the model, has an Adam of its own with the segmenter's polynomial decay.
    Batches of real pairs alone, at the end of some rows, leave the critic out. `separate` gives
    real and synthetic pairs passes of their own.
    """

    def __init__(
        self, model: Any, critic: nn.Module, mix: Mix, config: Config, separate: bool = False
    ) -> None:
        self._model, self._mix, self._weight = model, mix, config.weight
        self._critic, self._separate = critic, separate
        parameters = self._critic.parameters()
        self._optimizer = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.99))
        self._decay = torch.optim.lr_scheduler.PolynomialLR(
            self._optimizer, mix.num_mixed, power=0.9
        )
        self._plain_step = model.train_step
        self._steps = 0
        self._logits: list[Tensor] = []

    def attach(self) -> None:
        """Take the place of the model's `train_step`, and look at what its head returns."""
        head = self._model.decode_head
        if isinstance(head, nn.ModuleList):
            raise UserError("adapt: advent needs an arch with one decode head; choose another arch")
        original = head.loss_by_feat

        def watched(seg_logits: Any, samples: Any) -> dict[str, Tensor]:
            if not isinstance(seg_logits, Tensor):
                raise UserError(
                    f"adapt: advent needs class scores, and {type(head).__name__} returns more "
                    "than that; choose another arch"
                )
            self._logits.append(seg_logits)
            return original(seg_logits, samples)

        head.loss_by_feat = watched
        self._model.train_step = self.train_step

    def train_step(self, data: Any, optim_wrapper: Any) -> Mapping[str, Tensor]:
        """Take one step of the segmenter, then one of the critic."""
        self._logits.clear()
        self._steps += 1
        if self._steps > self._mix.num_mixed:
            return self._plain_step(data, optim_wrapper)
        with optim_wrapper.optim_context(self._model):
            data = self._model.data_preprocessor(data, True)
            losses = losses_of(self._model, data, self._mix.num_real, self._separate)
        size = data["inputs"].shape[2:]
        logits = torch.cat(self._logits[::-1])  # of separate passes, real pairs came last
        scores = F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
        maps = entropy_maps(scores)
        real, synthetic = maps[: self._mix.num_real], maps[self._mix.num_real :]
        self._critic.to(maps.device).requires_grad_(False)
        losses["loss_advent"] = self._weight * says(self._critic(real), SYNTHETIC)
        total, shown = self._model.parse_losses(losses)
        optim_wrapper.update_params(total)
        shown["critic"] = self._teach(real.detach(), synthetic.detach())
        return shown

    def _teach(self, real: Tensor, synthetic: Tensor) -> Tensor:
        self._critic.requires_grad_(True)
        self._optimizer.zero_grad()
        loss = (says(self._critic(synthetic), SYNTHETIC) + says(self._critic(real), REAL)) / 2
        loss.backward()
        self._optimizer.step()
        self._decay.step()
        return loss.detach()


def says(scores: Tensor, what: float) -> Tensor:
    """Return the binary cross entropy of critic scores `[B, 1, h, w]` with one answer for all."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, what))
