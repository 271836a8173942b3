"""Real objects placed by palette: no network, nothing to learn by gradient.

Connected components of other training pairs are put, with their pixels, into a real pair that has
less of their class than its target palette: copy-paste (Ghiasi et al., CVPR 2021) where a palette
says what and the training set says where, how large and on what.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from data.stage.errors import UserError
from data.stage.params import Params
from data.stage.progress import log
from synth.layouts.common.edits import Bands
from synth.layouts.common.entry import Entry, Material
from synth.layouts.transplanting import bank as banks
from synth.layouts.transplanting import laws
from synth.layouts.transplanting.bands import find
from synth.layouts.transplanting.bank import Bank
from synth.layouts.transplanting.cutting import measure
from synth.layouts.transplanting.pasting import Canvas, paste
from synth.layouts.transplanting.placing import Placing, Rng, place
from synth.training.method import Drawn

ROOM = 1.5  # times what is lacking of a class: how much an object may bring


class Config(Params):
    """Section `layouts.transplant` of `params.yaml`."""

    num_objects: tuple[int, int]
    scale: tuple[float, float]
    guided: bool
    placing: Placing
    classes: Literal["auto"] | tuple[str, ...]
    largest: float = Field(gt=0, le=1)
    whole: float = Field(gt=0, le=1)
    min_pixels: int = Field(ge=1)
    per_class: int = Field(ge=1)
    brightness: float = Field(ge=0, le=1)

    @field_validator("num_objects", "scale")
    @classmethod
    def _range(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if not 0 < ends[0] <= ends[1]:
            raise ValueError("must be two numbers above 0, the smaller one first")
        return ends


class Transplant:
    """The fitted method: its numbers and the bank of objects."""

    def __init__(self, config: Config, bank: Bank) -> None:
        """Take the average size of the objects of each class."""
        self.config, self.bank = config, bank
        sizes = np.bincount(bank.kind, bank.area, len(bank.shares))
        counts = np.diff(bank.first)
        self.counts, self.typical = counts, sizes / np.maximum(counts, 1)
        self._things = np.zeros(256, bool)  # by label; pixels without a class are no objects
        self._things[: len(counts)] = counts > 0

    @property
    def num_pairs(self) -> int:
        """Number of the real pairs that objects come from."""
        return self.bank.num_pairs

    def compose(
        self,
        *,
        palette: Tensor,
        label: Tensor,
        image: Tensor,
        rows: Sequence[int],
        rngs: Sequence[torch.Generator],
        bands: Bands | None = None,
    ) -> Drawn:
        """Put bands of others, if there are any, and objects into real pairs; see `Composing`.

        `target` has of each class of objects what was asked for, where the parent, its band in
        place, has less; other classes share the rest as they did. At random nothing is asked for.
        """
        seeds = [int(torch.randint(2**62, (1,), generator=rng, device=rng.device)) for rng in rngs]
        asked = palette.double().cpu().numpy()
        images = image.permute(0, 2, 3, 1).cpu().numpy().copy()
        labels = label.to(torch.uint8).cpu().numpy().copy()
        alphas, edited = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, bool)
        dice = [np.random.default_rng(seed) for seed in seeds]
        lenders: list[tuple[int, ...]] = [()] * len(rows)
        if bands is not None:
            lenders = self._recombine(bands, images, labels, edited, asked, rows, dice)
        behind = None if bands is None else images.copy()
        donors, targets = [], np.zeros(asked.shape, np.float32)
        for slot, (row, rng) in enumerate(zip(rows, dice, strict=True)):
            canvas = Canvas(images[slot], labels[slot], alphas[slot])
            wanted = self._wanted(asked[slot], labels[slot])
            targets[slot] = wanted
            donors.append(lenders[slot] + self._fill(canvas, row, wanted, rng))
        device = label.device

        def pixels(arrays: np.ndarray) -> Tensor:
            return torch.from_numpy(arrays).permute(0, 3, 1, 2).to(device)

        return Drawn(
            label=torch.from_numpy(labels).long().to(device),
            target=torch.from_numpy(targets).to(device) if self.config.guided else None,
            edited=torch.from_numpy((alphas > 0) | edited).to(device),
            image=pixels(images),
            behind=image if behind is None else pixels(behind),
            alpha=torch.from_numpy(alphas).to(device),
            donors=tuple(donors),
            objects=torch.from_numpy(self._things[labels]).to(device),
        )

    def _recombine(
        self,
        bands: Bands,
        images: np.ndarray,
        labels: np.ndarray,
        edited: np.ndarray,
        asked: np.ndarray,
        rows: Sequence[int],
        dice: Sequence[Rng],
    ) -> list[tuple[int, ...]]:
        """Put a band into every pair, mark its columns, and return the pairs that bands are of."""
        lenders: list[tuple[int, ...]] = []
        mirrors = self.bank.mirrors
        for slot, (row, rng) in enumerate(zip(rows, dice, strict=True)):
            band = find(bands, labels[slot], asked[slot], parent=row, mirrors=mirrors, rng=rng)
            if band is not None:
                columns = np.s_[slot, :, band.left : band.right]
                labels[columns] = band.of(bands.labels[band.row])
                images[columns] = band.of(bands.images([band.row])[0])
                edited[columns] = True
            lenders.append(() if band is None else (band.row,))
        return lenders

    def _fill(self, canvas: Canvas, parent: int, wanted: np.ndarray, rng: Rng) -> tuple[int, ...]:
        """Put objects into one pair and return the pairs they come from."""
        low, high = self.config.num_objects
        count = int(rng.integers(low, high + 1))
        donors: list[int] = []
        closed = self.counts == 0
        while len(donors) < count and not closed.all():
            lacking = wanted - _shares(canvas.label, len(wanted))
            kind = self._kind(lacking, closed, rng)
            if donors and self.config.guided and lacking[kind] <= 0:
                break  # it lacks nothing more
            room = ROOM * lacking[kind] if self.config.guided else np.inf
            where = place(
                self.bank,
                self.config,
                canvas.label,
                kind,
                taken=canvas.alpha > 0,
                parent=parent,
                room=room,
                rng=rng,
            )
            mirrored = bool(rng.random() < 0.5) and bool(self.bank.mirrors[kind])
            if where is not None and paste(
                canvas,
                self.bank,
                where,
                mirrored=mirrored,
                brightness=self.config.brightness,
                smallest=self.config.min_pixels,
            ):
                donors.append(int(self.bank.donor[where.object]))
            else:
                closed = closed | (np.arange(len(closed)) == kind)
        return tuple(donors)

    def _kind(self, lacking: np.ndarray, closed: np.ndarray, rng: Rng) -> int:
        """Choose a class by the number of its objects that is lacking, or by how many there are."""
        if not self.config.guided:
            weights = np.where(closed, 0, self.counts)
        else:
            objects = np.where(closed, -np.inf, lacking / np.maximum(self.typical, 1e-12))
            if objects.max() <= 0:  # it has enough of everything: what it has least too much of
                return int(objects.argmax())
            weights = objects.clip(0)
        return int(rng.choice(len(weights), p=weights / weights.sum()))

    def _wanted(self, asked: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return the palette of a pair that has what was asked for of the classes of objects."""
        have = _shares(label, len(asked))
        raised = self.bank.laws.things & (asked > have)
        room = 1 - asked[raised].sum()
        rest = have[~raised].sum()
        return np.where(raised, asked, have * room / max(rest, 1e-12))


def fit(config: Config, material: Material) -> Bank:
    """Measure the components of training pairs, fit the laws and cut the objects."""
    pairs, real = material.detail, material.train
    classes, shares = real.classes, real.column("palette").astype(np.float64).mean(0)
    height, width = real.size
    smallest = config.min_pixels / config.scale[1] ** 2 / (height * width)
    measured = measure(pairs, smallest)
    named = None if config.classes == "auto" else config.classes
    things = laws.things(measured, classes, named, largest=config.largest, whole_share=config.whole)
    usable = laws.whole(measured, config.largest) & things[measured.kind]
    usable &= laws.unhidden(measured, things)
    found = laws.fit(measured, usable, things, classes=classes, shares=shares, height=height)
    usable &= ~laws.fragments(measured, found.size, found.follows)
    chosen = banks.choose(usable, measured.kind, config.per_class)
    if not len(chosen):
        _without_objects(pairs.path, named)
    mirrored = np.array(classes.mirrored)
    mirrors = (mirrored == np.arange(len(mirrored))) & material.flip
    bank = banks.fill(pairs, measured, chosen, found, shares=shares, mirrors=mirrors)
    counts = np.diff(bank.first)
    if said := ", ".join(f"{classes.names[k]} {counts[k]}" for k in np.flatnonzero(counts)):
        log.info(f"transplant: objects of {said}")
    return bank


def _without_objects(pairs: Path, named: Sequence[str] | None) -> None:
    """Refuse classes that were named and have no object; where none was, say that pairs stay."""
    fix = "name classes in layouts.transplant.classes, or raise `largest` or lower `whole`"
    if named is not None:
        raise UserError(f"{pairs} shows no whole object of {', '.join(named)}; {fix}")
    log.warning(f"{pairs} shows no object that could be moved, so pairs stay as they are; {fix}")


def load(config: Config, tensors: Mapping[str, Tensor]) -> Transplant:
    """Take the method out of its artifact."""
    return Transplant(config, Bank.of(tensors))


def _shares(label: np.ndarray, num_classes: int) -> np.ndarray:
    counts = np.bincount(label.ravel(), minlength=256)[:num_classes]
    return counts / max(counts.sum(), 1)


ENTRY = Entry(Config, fit=fit, load=load, derives=True, follows_palette=True)
