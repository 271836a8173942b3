"""Edit real labels with a trained editor: bands made anew, classes taken out or made larger."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from data.pairs.batches import onehot
from data.pairs.pairset import PairSet
from synth.layouts.common.masks import (
    TRACE,
    Edit,
    band_of,
    merge,
    remove,
    remove_classes,
    shares,
    surroundings,
    switch,
)
from synth.layouts.common.rounding import round_holes, round_layout, without_specks
from synth.training.method import Drawn, Given, generator, rand, randn

NUM_MEASURED = 64


class Editing(Protocol):
    """A layout method that edits real layouts, for `Entry.edits`."""

    @property
    def config(self) -> Any:
        """Its numbers: `rounding`, `bands`, and `masks`, how often it learns each."""
        ...

    @property
    def noise_length(self) -> int:
        """How many numbers of noise a layout is made from."""
        ...

    @property
    def given(self) -> Given:
        """What it was built for."""
        ...

    def raw(self, nets: nn.ModuleDict, edit: Edit, z: Tensor) -> Tensor:
        """Make soft layouts `[B, C + 1, H, W]`, the last class is "keep".

        From noise z `[B, noise_length]`.
        """
        ...


def with_hole(
    method: Editing,
    nets: nn.ModuleDict,
    *,
    real: Tensor,
    hole: Tensor,
    z: Tensor,
    like: Tensor | None = None,
) -> Drawn:
    """Remake `hole`, bool `[B, H, W]`, from noise z; outside the label stays, pixel for pixel.

    It is asked for the palette that was there, or that labels `like` `[B, H, W]` have there, and no
    class that was not asked for gets a pixel. `target` `[B, C]` is for the whole image: what is
    kept plus what is asked for. `edited` is the hole.
    """
    num_classes = method.given.num_classes
    edit = remove(real, hole, num_classes, like)
    soft = method.raw(nets, edit, z)[:, :-1]
    label = round_holes(soft, edit.share[:, :-1], real, hole, method.config.rounding)
    target = shares(real, num_classes, ~hole) + edit.share[:, :-1]
    return Drawn(label=label, target=target, edited=hole)


def without_classes(
    method: Editing, nets: nn.ModuleDict, *, real: Tensor, classes: Tensor, z: Tensor
) -> Drawn:
    """Paint `classes`, bool `[B, C]`, over with what surrounds them; all else stays.

    They are gone from the label, unless nothing surrounds them. What the editor "keeps" of them is
    their surroundings: an object of less than 0.2 % leaves it no class to paint with. `target` is
    the palette of what stays plus that of the ring around, `edited` are the pixels removed.
    """
    layout = onehot(real, method.given.num_classes)
    edit = remove_classes(real, classes)
    merged = merge(method.raw(nets, edit, z), surroundings(layout, edit.removed))
    label = round_holes(merged, edit.share[:, :-1], real, edit.removed, method.config.rounding)
    target = (layout * ~edit.removed[:, None]).mean((2, 3)) + edit.share[:, :-1]
    return Drawn(label=label, target=target, edited=edit.removed)


def with_palette(
    method: Editing, nets: nn.ModuleDict, *, real: Tensor, palette: Tensor, z: Tensor
) -> Drawn:
    """Let classes grow to their entries in `palette` `[B, C]`; entries of 0 ask for nothing.

    Pixels of growing classes stay, so `balanced` rounding meets their shares to within some pixels;
    `argmax` adds what the editor is sure of. `target` has the shares of growing classes, the others
    share the rest as they did. `edited` are the pixels that changed.
    """
    layout = onehot(real, method.given.num_classes)
    edit = switch(real, palette)
    keep = torch.zeros_like(edit.share)
    keep[:, -1] = 1
    stays = (layout * edit.growing[:, :, None, None]).sum(1, keepdim=True) > 0
    raw = torch.where(stays, keep[:, :, None, None], method.raw(nets, edit, z))
    rounding = method.config.rounding
    chosen = round_layout(raw, edit.share, rounding.model_copy(update={"smallest": 0}))
    label = torch.where(chosen == method.given.num_classes, real, chosen)
    # beside a region of its class nothing is a speck
    specks = without_specks(label, rounding.smallest, label != real) != label
    label = torch.where(specks, real, label)
    share = layout.mean((2, 3))
    grown = (share + edit.share[:, :-1]) * edit.growing
    rest = share * ~edit.growing
    room = (1 - grown.sum(1, keepdim=True)) / rest.sum(1, keepdim=True).clamp_min(TRACE)
    return Drawn(label=label, target=grown + rest * room, edited=label != real)


@torch.no_grad()
def disagreement(method: Editing, nets: nn.ModuleDict, real: PairSet) -> dict[str, float]:
    """Measure how much bands differ that were made of the same and of other noise.

    `disagreement` is the fraction of a band's pixels that have another class, a mean over bands of
    the training's widths in 64 real layouts; `disagreement_real` that of two real layouts at the
    same place.
    """
    rows = np.linspace(0, len(real) - 1, min(NUM_MEASURED, len(real))).astype(int)
    device = next(nets.parameters()).device
    labels = torch.from_numpy(real.labels(rows)).long().to(device)
    found = []
    for first in range(0, len(rows), 16):
        items = range(first, min(first + 16, len(rows)))
        rngs = [generator(item, device=device) for item in items]
        label, other = (
            labels[[(at + by) % len(rows) for at in items]] for by in (0, len(rows) // 2)
        )
        hole = band_of(rand(rngs, (2,)), label.shape[1:], method.config.bands)
        one, two = (
            with_hole(method, nets, real=label, hole=hole, z=randn(rngs, (method.noise_length,)))
            for _ in range(2)
        )
        apart = torch.stack([one.label != two.label, label != other]) & hole
        found.append(apart.sum((2, 3)) / hole.sum((1, 2)))
    made, there = torch.cat(found, 1).mean(1).tolist()
    return {"disagreement": round(made, 4), "disagreement_real": round(there, 4)}
