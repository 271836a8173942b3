"""Classes that grow, shrink, or come from other pairs, up to a share of the image."""

from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from data.stage.errors import UserError
from studio.acts.canvas import Work, filled
from studio.state import Borrow, Resize
from synth.layouts.common.editing import with_palette
from synth.layouts.common.masks import TRACE
from synth.layouts.transplant import Transplant
from synth.making.drawing import LAYOUT
from synth.training.method import generator


def resize(work: Work, step: Resize) -> None:
    """Let a class grow or shrink to a share.

    What shrinks loses its rim to what surrounds it. What grows is grown by an editor where there is
    one, else from its rim; what is absent then comes as objects of the bank, where it has any, or
    from another pair.
    """
    number, pixels = work.class_of(step.name), round(step.share * work.label.size)
    mask = work.label == number
    if pixels < mask.sum():
        _shrink(work, mask, pixels)
    elif pixels > mask.sum():
        editor, bank = work.shelf.editor(), work.shelf.objects()
        if editor is not None and step.share - mask.mean() >= TRACE:
            _grow_by(work, number, step, *editor)
        elif mask.any():
            _grow(work, number, pixels)
        elif bank is not None and bank.counts[number]:
            _fill_with_objects(work, number, step, bank)
        else:
            borrow(work, Borrow(name=step.name, dice=step.dice))
            found = int((work.label == number).sum())
            if found > pixels:
                _shrink(work, work.label == number, pixels)
            elif found < pixels:
                _grow(work, number, pixels)


def borrow(work: Work, step: Borrow) -> None:
    """Take a class from another pair, at its place there: for pictures that are aligned."""
    number, real = work.class_of(step.name), work.shelf.real
    if step.pair is not None:
        row = work.shelf.row_of(step.pair)
    else:
        shown = np.flatnonzero(real.column("palette")[:, number] > 0)
        shown = shown[shown != work.row]
        if not len(shown):
            raise UserError(f"no other training pair shows {step.name}; choose another class")
        row = int(shown[step.dice % len(shown)])
    mask = real.labels([row])[0] == number
    if not mask.any():
        raise UserError(f"{real.ids()[row]} shows no {step.name}; choose another pair")
    work.relabel(mask, np.full(mask.shape, number, np.uint8))
    work.donors.append(real.ids()[row])


def _shrink(work: Work, mask: np.ndarray, pixels: int) -> None:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]  # pyright: ignore[reportOptionalSubscript, reportCallIssue, reportArgumentType, reportIndexIssue]  # untyped
    lost = np.zeros(mask.shape, bool)
    order = np.flatnonzero(mask)[np.argsort(depth[mask], kind="stable")]
    lost.ravel()[order[: len(order) - pixels]] = True
    if mask.all():
        raise UserError("nothing surrounds this class, so nothing can take its place")
    work.relabel(lost, filled(work, mask))  # by what is outside of the class


def _grow(work: Work, number: int, pixels: int) -> None:
    mask = work.label == number
    away = ndimage.distance_transform_edt(~mask)
    assert isinstance(away, np.ndarray)
    order = np.argsort(away, axis=None, kind="stable")[:pixels]
    grown = np.zeros(mask.shape, bool)
    grown.ravel()[order] = True
    work.relabel(grown & ~mask, np.full(mask.shape, number, np.uint8))


def _grow_by(work: Work, number: int, step: Resize, method: Any, nets: nn.ModuleDict) -> None:
    asked = torch.zeros(1, work.shelf.real.classes.num_classes, device=work.shelf.device)
    asked[0, number] = step.share
    z = work.noise(method, step.dice)
    drawn = with_palette(method, nets, real=work.tensor(), palette=asked, z=z)
    label = drawn.label[0].cpu().numpy().astype(np.uint8)
    work.relabel(label != work.label, label)


def _fill_with_objects(work: Work, number: int, step: Resize, found: Transplant) -> None:
    shares = np.bincount(work.label.ravel(), minlength=len(found.counts))[: len(found.counts)]
    palette = shares / work.label.size * (1 - step.share)
    palette[number] = step.share
    drawn = found.compose(
        palette=torch.from_numpy(palette)[None],
        label=work.tensor().cpu(),
        image=torch.from_numpy(work.on.image).permute(2, 0, 1)[None],
        rows=[work.row],
        rngs=[generator(work.seed, LAYOUT, step.dice)],
    )
    assert drawn.image is not None and drawn.alpha is not None and drawn.donors is not None
    if not drawn.donors[0]:
        raise UserError(f"there is no place for a {step.name} in this picture; try other dice")
    over = drawn.alpha[0].numpy()
    work.on.image[...] = drawn.image[0].permute(1, 2, 0).numpy()
    work.on.label[...] = drawn.label[0].numpy().astype(np.uint8)
    work.on.alpha[...] = 1 - (1 - work.on.alpha) * (1 - over)
    work.donors += [work.shelf.real.ids()[row] for row in drawn.donors[0]]
