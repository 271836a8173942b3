"""Patches of real layouts put together by palette: nothing is trained, and few layouts are enough.

Generative patch nearest neighbours (Granot et al., CVPR 2022) on label maps: from coarse to fine,
every patch of a plan is replaced by the nearest one of real layouts, and those that overlap vote.
Not as published: a plan of the target palette in place of an image with noise, patches that stay
near their row, patches of classes that are lacking preferred, at fine grids only those that the
coarser one leads to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from data.pairs.classes import IGNORE
from data.pairs.pair import palette_of
from data.stage.errors import UserError
from data.stage.params import Params
from synth.layouts.common.entry import Entry, Material
from synth.layouts.common.rounding import without_specks
from synth.layouts.patching import plan
from synth.layouts.patching.completing import complete
from synth.layouts.patching.grids import bases, described, factors, fold, padded, weights
from synth.layouts.patching.matching import coherent, doubled, exhaustive, votes
from synth.training.method import Drawn

ROUNDS = (4, 3, 2)  # of matching: on the coarsest grid, on the next, on finer ones
SEARCHED = 2  # grids on which all patches are tried
FALL = 0.4  # the weight of the palette on a grid, times that on the coarser one
NUM_MEASURED = 24  # layouts that principal components are found from


class Config(Params):
    """Section `layouts.gpnn` of `params.yaml`."""

    num_sources: int = Field(ge=1)
    noise: float = Field(ge=0)  # nats
    guidance: float = Field(ge=0)
    reach: float = Field(ge=0, le=1)  # of the height
    smallest: int = Field(ge=0)  # pixels


@dataclass(frozen=True)
class Bank:
    """The layouts of `num_pairs` real pairs that patches come from.

    `labels` uint8 `[N, H, W]`, every pixel with a class; `shares` `[N, C]` their palettes;
    `mirrored` int64 `[C]` the class that each becomes in a mirror, empty where none is mirrored.
    """

    num_pairs: int
    labels: Tensor
    shares: Tensor
    mirrored: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it as tensors, for safetensors."""
        count = torch.tensor(self.num_pairs)
        rest = {"labels": self.labels, "shares": self.shares, "mirrored": self.mirrored}
        return {"num_pairs": count, **rest}


class Patches:
    """The method with its bank, and what is found of patches once."""

    def __init__(self, config: Config, bank: Bank) -> None:
        """Take the bank as it is."""
        self.config, self.bank = config, bank

    @property
    def num_pairs(self) -> int:
        """Number of the real pairs that patches come from."""
        return self.bank.num_pairs

    @cached_property
    def shares(self) -> Tensor:
        """Return the mean palette, `[C]`."""
        return self.bank.shares.mean(0)

    @cached_property
    def bases(self) -> dict[int, Tensor]:
        """Return the filters that describe patches, by the factor of the grid."""
        chosen = torch.linspace(0, len(self.bank.labels) - 1, NUM_MEASURED).round().long().unique()
        return bases(self.bank.labels[chosen].long(), weights(self.shares))

    def draw(self, palette: Tensor, rng: torch.Generator) -> Tensor:
        """Put a layout together, int64 `[H, W]`, for a palette `[C]`."""
        sources = self._sources(palette, rng)
        there = torch.bincount(sources.flatten(), minlength=len(palette)).nonzero()[:, 0]
        number = torch.zeros(len(palette), dtype=torch.int64)
        number[there] = torch.arange(len(there))
        asked = palette[there].clamp_min(0)
        asked = asked / asked.sum() if asked.sum() > 0 else self.shares[there]
        made = there[self._made(number[sources], asked, there, rng)]
        made = without(made, palette * made[0].numel() < 1)
        smallest = self.config.smallest
        label = without_specks(made, smallest)[0].numpy()
        dice = np.random.default_rng(int(torch.randint(2**62, (1,), generator=rng)))
        asked = palette.numpy()
        label = complete(label, sources.numpy(), asked, smallest=smallest, rng=dice)
        # an object may have cut one off
        return without_specks(torch.from_numpy(label)[None], smallest)[0]

    def _sources(self, palette: Tensor, rng: torch.Generator) -> Tensor:
        """Draw the real layouts that patches come from; classes that are asked for are there."""
        bank = self.bank
        order = torch.randperm(len(bank.labels), generator=rng)
        turns = torch.rand(len(order), generator=rng) < 0.5
        mirrors = len(bank.mirrored) > 0
        becomes = bank.mirrored if mirrors else torch.arange(len(palette))
        shown = bank.shares[order] > 0
        chosen = [(n, mirrors and bool(turns[n])) for n in range(len(order))]
        chosen = chosen[: self.config.num_sources]
        for kind in (palette * bank.labels[0].numel() >= 1).nonzero()[:, 0].tolist():
            other = int(becomes[kind])  # what it is in a mirror
            if any(shown[n, other if turned else kind] for n, turned in chosen):
                continue
            if (has := shown[:, kind] | shown[:, other]).any():
                first = int(has.int().argmax())
                chosen.append((first, not shown[first, kind]))
        labels = bank.labels[order[[n for n, _ in chosen]]].long()
        turned = torch.tensor([turned for _, turned in chosen])
        if turned.any():
            labels[turned] = becomes[labels[turned].flip(2)]
        return labels

    def _made(
        self, sources: Tensor, palette: Tensor, there: Tensor, rng: torch.Generator
    ) -> Tensor:
        """Go from a plan on the coarsest grid to labels `[1, H, W]`, of the classes `there`."""
        grids = factors((sources.shape[1], sources.shape[2]))
        values = fold(sources, len(there), grids[0])
        noise, shares = self.config.noise, self.shares[there]
        made = plan.draw(values, shares, palette, noise=noise, rng=rng)
        field = torch.zeros(3, *made.shape[2:], dtype=torch.int64)
        for level, factor in enumerate(grids):
            if level:
                values = fold(sources, len(there), factor)
                field = doubled(field, (values.shape[2], values.shape[3]))
                made = votes(field, values)
            filters = self.bases[factor][:, there]
            keys = described(values, filters)
            rows = round(self.config.reach * sources.shape[1] / factor)
            strength = self.config.guidance * FALL**level
            for _ in range(ROUNDS[min(level, len(ROUNDS) - 1)]):
                query = described(made, filters)[0]
                dear = -strength * plan.lacking(palette, made)
                cost = torch.einsum("nchw,c->nhw", values, dear)[:, None]
                cost = F.avg_pool2d(padded(cost, 3), 3, 1)[:, 0]
                if level < SEARCHED:
                    field = exhaustive(query, keys, cost, rows)
                else:
                    field = coherent(query, keys, cost, field, rows)
                made = votes(field, values)
        return made.argmax(1)


def without(label: Tensor, unwanted: Tensor) -> Tensor:
    """Give pixels `[B, H, W]` of `unwanted` classes, bool `[C]`, what is nearest to them."""
    made = label.numpy().copy()
    for item in made:
        if (out := unwanted.numpy()[item]).any() and not out.all():
            item[...] = item[tuple(nearest(out))]
    return torch.from_numpy(made)


def nearest(out: np.ndarray) -> np.ndarray:
    """Return row and column of the nearest pixel that is not `out`, bool `[H, W]`: `[2, H, W]`."""
    return distance_transform_edt(out, return_distances=False, return_indices=True)  # pyright: ignore[reportReturnType]  # untyped: one array if told so


def fit(config: Config, material: Material) -> Bank:
    """Keep the layouts of the training pairs; pixels without a class get their neighbours'."""
    real, classes = material.train, material.train.classes
    labels = real.labels(range(len(real)))
    labels = labels[(labels != IGNORE).any((1, 2))]
    if not len(labels):
        raise UserError(f"{real.path} has no pixel with a class; layouts are put together of them")
    for label in labels:
        if (unknown := label == IGNORE).any():
            label[...] = label[tuple(nearest(unknown))]
    mirrored = torch.tensor(classes.mirrored if material.flip else (), dtype=torch.int64)
    shares = torch.from_numpy(palette_of(labels, classes.num_classes))
    return Bank(len(real), torch.from_numpy(labels), shares.float(), mirrored)


def load(config: Config, tensors: Mapping[str, Tensor]) -> Patches:
    """Take the method out of its artifact."""
    rest = {name: tensors[name] for name in ("labels", "shares", "mirrored")}
    return Patches(config, Bank(int(tensors["num_pairs"]), **rest))


def draw(
    method: Patches,
    nets: nn.ModuleDict | None,
    *,
    palette: Tensor,
    real: Tensor,
    rngs: Sequence[torch.Generator],
) -> Drawn:
    """Put a layout together for each palette `[B, C]`; real layouts are not looked at."""
    made = []
    for asked, rng in zip(palette.float().cpu(), rngs, strict=True):
        # on the CPU, whatever device the generator is of
        made.append(method.draw(asked, torch.Generator().manual_seed(rng.initial_seed())))
    return Drawn(label=torch.stack(made).to(palette.device), target=palette, edited=None)


ENTRY = Entry(Config, fit=fit, load=load, draw=draw, follows_palette=True)
