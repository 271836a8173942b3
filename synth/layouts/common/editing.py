"""Edit real labels with a trained editor: bands made anew, classes taken out or made larger."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from data.pairs.batches import onehot
from synth.layouts.common.masks import (
    TRACE,
    Edit,
    merge,
    remove,
    remove_classes,
    surroundings,
    switch,
)
from synth.layouts.common.rounding import Rounding, round_layout
from synth.training.method import Drawn, Given


class Editing(Protocol):
    """A layout method that edits real layouts, for `Entry.edits`."""

    @property
    def config(self) -> Any:
        """Its numbers: `latent`, `rounding`, `min_band`, and `masks`, how often it learns each."""
        ...

    @property
    def given(self) -> Given:
        """What it was built for."""
        ...

    def raw(self, nets: nn.ModuleDict, edit: Edit, z: Tensor) -> Tensor:
        """Make soft layouts `[B, C + 1, H, W]`, the last class is "keep", from z `[B, latent]`."""
        ...


def with_band(
    method: Editing, nets: nn.ModuleDict, *, real: Tensor, band: Tensor, z: Tensor
) -> Drawn:
    """Remake `band`, bool `[B, H, W]`, from noise z; outside the label stays, pixel for pixel.

    `target` `[B, C]` is for the whole image: what is kept plus what was removed, hence the palette
    of the real label. `edited` is the band.
    """
    layout = onehot(real, method.given.num_classes)
    edit = remove(layout, band)
    target = layout.mean((2, 3))
    merged = merge(method.raw(nets, edit, z), edit.layout)
    soft = torch.where(band[:, None], merged, layout)
    label = torch.where(band, round_layout(soft, target, method.config.rounding), real)
    return Drawn(label=label, target=target, edited=band)


def without_classes(
    method: Editing, nets: nn.ModuleDict, *, real: Tensor, classes: Tensor, z: Tensor
) -> Drawn:
    """Paint `classes`, bool `[B, C]`, over with what surrounds them; all else stays.

    They are gone from the label, unless nothing surrounds them. What the editor "keeps" of them is
    their surroundings: an object of less than 0.2 % leaves it no class to paint with. `target` is
    the palette of what stays plus that of the ring around, `edited` are the pixels removed.
    """
    layout = onehot(real, method.given.num_classes)
    edit = remove_classes(layout, classes)
    merged = merge(method.raw(nets, edit, z), surroundings(layout, edit.removed))
    label = real.clone()
    for item, hole in enumerate(edit.removed):
        if hole.any():
            soft, share = merged[item, :, hole], edit.share[item, :-1]
            label[item, hole] = _fill(soft, share / share.sum(), method.config.rounding)
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
    edit = switch(layout, palette)
    keep = torch.zeros_like(edit.share)
    keep[:, -1] = 1
    stays = (layout * edit.growing[:, :, None, None]).sum(1, keepdim=True) > 0
    raw = torch.where(stays, keep[:, :, None, None], method.raw(nets, edit, z))
    chosen = round_layout(raw, edit.share, method.config.rounding)
    label = torch.where(chosen == method.given.num_classes, real, chosen)
    share = layout.mean((2, 3))
    grown = (share + edit.share[:, :-1]) * edit.growing
    rest = share * ~edit.growing
    room = (1 - grown.sum(1, keepdim=True)) / rest.sum(1, keepdim=True).clamp_min(TRACE)
    return Drawn(label=label, target=grown + rest * room, edited=label != real)


def _fill(soft: Tensor, share: Tensor, rounding: Rounding) -> Tensor:
    """Round the n pixels `[C, n]` of a hole; what is around it, certain, would hold it off."""
    if soft.shape[1] < len(share):  # no class may have a pixel's share
        rounding = "argmax"
    return round_layout(soft[None, :, None], share[None], rounding)[0, 0]
