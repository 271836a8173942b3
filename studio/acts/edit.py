"""Edit: steps on a real pair, painted in its own look; pixels outside stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.pairs.pair import Pair
from data.stage.errors import UserError
from studio.acts import canvas, shares
from studio.acts.canvas import Work
from studio.shelf import Painting, Shelf
from studio.state import Borrow, Brush, Edit, Hole, Put, Remove, Resize, digest
from synth.making.drawing import PAINTER, STYLE, composite, overlay, paint_layouts
from synth.training.method import Around, PaintRequest, generator

STEPS: dict[type, Callable[[Work, Any], None]] = {
    Hole: canvas.hole,
    Remove: canvas.remove,
    Brush: canvas.brush,
    Put: canvas.put,
    Resize: shares.resize,
    Borrow: shares.borrow,
}
RANDOM = "random"  # in place of a pair: the look of one that the dice choose


@dataclass(frozen=True)
class Edited:
    """The pair of an edit, and the pair that it was: `before` has its image and label."""

    pair: Pair
    before: Pair


def show(shelf: Shelf, edit: Edit, name: str = "studio") -> Edited:
    """Apply the steps and paint what they made.

    Real pixels outside the steps stay as they are, and those of objects stay as they were lit. The
    pair is a function of the models and the edit.
    """
    work = apply(shelf, edit)
    image, whose = paint(shelf, edit, work)
    before = shelf.real[work.row]
    pair = Pair(
        id=f"{name}-{digest(edit)}",
        image=image,
        label=work.label,
        source=name,
        parent=edit.pair,
        edited=work.edited,
        seed=edit.seed << 32 | edit.noise,
        style=whose,
        donors=tuple(dict.fromkeys(work.donors)) or None,
    )
    return Edited(pair, before)


def apply(shelf: Shelf, edit: Edit) -> Work:
    """Return what the steps leave; a step that cannot be done is a `UserError` that counts it.

    Classes with a look of another pair are painted wherever they are.
    """
    work = Work.of(shelf, edit.pair, edit.seed)
    for number, step in enumerate(edit.steps, 1):
        try:
            STEPS[type(step)](work, step)
        except UserError as error:
            raise UserError(f"step {number}: {error}") from None
    for name in edit.looks:
        work.made[(work.label == work.class_of(name)) & (work.on.alpha == 0)] = True
    return work


def paint(shelf: Shelf, edit: Edit, work: Work) -> tuple[np.ndarray, str | None]:
    """Return the image uint8 `[H, W, 3]`, and the pair whose look it has where it is one alone."""
    if not work.made.any():
        return work.on.image.copy(), None
    painting = shelf.painting(edit.painter)
    looks, whose = looks_of(shelf, edit, work.row, painting)
    parent, objects = _planes(work.parent, shelf), _planes(work.on.image, shelf)
    made = torch.from_numpy(work.made)[None].to(shelf.device)
    request = PaintRequest(work.tensor(), looks, Around(parent.float() / 127.5 - 1, ~made))
    rngs = [generator(edit.seed, PAINTER, edit.noise, device=shelf.device)]
    with torch.no_grad():
        painted = paint_layouts(painting.method, painting.nets, request, rngs)
    behind = composite(parent, painted, made)
    alpha = torch.from_numpy(work.on.alpha)[None].to(shelf.device)
    image = overlay(objects, parent, behind, alpha)
    return image[0].permute(1, 2, 0).cpu().numpy(), whose


def looks_of(
    shelf: Shelf, edit: Edit, row: int, painting: Painting
) -> tuple[Tensor | None, str | None]:
    """Return the look asked of a painter, rows `[1, C]` by class, and whose it is if one alone."""
    if painting.bank is None:
        return None, None
    if edit.looks and not painting.bank.by_class:
        raise UserError(
            f"{edit.painter} has one look for the whole picture, none by class; take the looks "
            "away, or choose a painter of regions"
        )
    rows = torch.full((1, shelf.real.classes.num_classes), row)
    for name, pair in edit.looks.items():
        number = shelf.real.classes.index(name)
        if pair == RANDOM:
            key = np.random.SeedSequence((edit.seed, STYLE, edit.noise, number))
            rows[0, number] = int(np.random.default_rng(key).integers(len(shelf.real)))
        else:
            rows[0, number] = shelf.row_of(pair)
    alone = bool((rows == row).all())
    return rows.to(shelf.device), edit.pair if alone else None


def _planes(image: np.ndarray, shelf: Shelf) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(shelf.device)
