"""Walks: from one scene to another, and a scene that evolves, with one mode kept throughout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.stage.errors import UserError
from studio.acts import canvas
from studio.acts import edit as edits
from studio.acts.scene import ready_of
from studio.demos.models import slerp
from studio.shelf import Shelf
from studio.state import Put, State
from synth.layouts import LAYOUTS
from synth.layouts.common.grown import soft_whole
from synth.layouts.common.rounding import round_layout
from synth.making.drawing import LAYOUT, PAINTER, STYLE, draw_palette, paint_layouts
from synth.making.sets import ReadySet
from synth.training.method import Painter, PaintRequest, generator, rand, randn

FARTHEST = 0.02  # of all lower edges of a class lie farther away than where a walk begins


@dataclass(frozen=True)
class Walked:
    """Frames uint8 `[T, H, W, 3]`, their labels `[T, H, W]`, and how much neighbours differ.

    `differences` are grey levels by the name of what painted, where the class stays; `said` is what
    they mean.
    """

    images: np.ndarray
    labels: np.ndarray
    differences: dict[str, float]
    said: str


@torch.no_grad()
def show(shelf: Shelf, state: State) -> Walked:
    """Walk as a state says; raises `UserError` where its layouts or edits cannot."""
    labels, looks = (_nearer if state.walk.what == "nearer" else _between)(shelf, state)
    painter = state.edit.painter if state.walk.what == "nearer" else state.scene.painter
    dice = state.edit.noise if state.walk.what == "nearer" else state.scene.dice.painter
    seed = state.edit.seed if state.walk.what == "nearer" else state.scene.seed
    kept = [(PAINTER, dice)] * len(labels)
    images = _paint(shelf, painter, labels, looks, _keys(seed, kept))
    other = [(PAINTER, dice + number) for number in range(len(labels))]
    redrawn = _redrawn(shelf, painter, len(labels), seed, looks)
    differences = {
        "one mode kept": difference(images, labels),
        "a mode for each frame": difference(
            _paint(shelf, painter, labels, redrawn, _keys(seed, other)), labels
        ),
    }
    for name in shelf.painters():
        if shelf.painting(name).bank is None:
            without = _paint(shelf, name, labels, None, _keys(seed, kept))
            differences[f"{name}, a painter without codes"] = difference(without, labels)
    return Walked(images, labels.cpu().numpy(), differences, _said(differences))


def difference(images: np.ndarray, labels: Tensor) -> float:
    """Return how many of 255 grey levels neighbouring frames differ by where the class stays.

    Frames uint8 `[T, H, W, 3]` and labels `[T, H, W]`. Conditional IMLE's videos (Li, Zhang and
    Malik, 2019) are judged by how little what does not move changes.
    """
    stays = (labels[1:] == labels[:-1]).cpu().numpy()
    away = np.abs(images[1:].astype(np.float64) - images[:-1]).mean(3)
    return round(float(away[stays].mean()), 3) if stays.any() else 0.0


def _between(shelf: Shelf, state: State) -> tuple[Tensor, Tensor | None]:
    """Return labels `[T, H, W]` and looks `[T, C, S]` from a scene to the one of other dice."""
    scene, walk = state.scene, state.walk
    ready = ready_of(shelf, scene)
    entry = LAYOUTS[ready.layouts]
    if entry.derives:
        raise UserError(
            f"{scene.layouts} starts from real layouts, which have no way between; choose layouts "
            "that are made whole, or let an object come nearer"
        )
    mix = torch.linspace(0, 1, walk.frames)[:, None]
    asked = torch.as_tensor(draw_palette(ready, scene.dice.palette, scene.seed))
    palettes = asked.expand(walk.frames, -1)
    if walk.what == "palette":
        to = torch.as_tensor(draw_palette(ready, walk.to, scene.seed))
        palettes = torch.lerp(asked[None], to[None], mix)
    made = _from_noise if entry.makes_whole else _drawn
    return made(shelf, state, ready, palettes), _looks(shelf, state, ready, mix)


def _from_noise(shelf: Shelf, state: State, ready: ReadySet, palettes: Tensor) -> Tensor:
    """Return the layouts of a generator for palettes `[T, C]`, or on the way to other noise."""
    scene, walk, method = state.scene, state.walk, ready.layout_method
    z = _noise(ready, scene.seed, scene.dice.layout).expand(walk.frames, -1)
    if walk.what == "noise":
        ends = z[:1], _noise(ready, scene.seed, walk.to)
        z = torch.cat([slerp(*ends, float(t)) for t in torch.linspace(0, 1, walk.frames)])
    frames = zip(z.to(shelf.device).split(1), palettes.to(shelf.device).split(1), strict=True)
    labels = [
        round_layout(soft_whole(method, ready.layout_nets, *one), one[1], method.config.rounding)
        for one in frames
    ]
    return torch.cat(labels)


def _drawn(shelf: Shelf, state: State, ready: ReadySet, palettes: Tensor) -> Tensor:
    """Return layouts for palettes `[T, C]` that are put together anew, with equal dice."""
    scene, draw = state.scene, LAYOUTS[ready.layouts].draw
    assert draw is not None, "layouts that start from nothing are drawn"
    if state.walk.what == "noise":
        raise UserError(
            f"{scene.layouts} puts layouts together of patches, which lie nowhere between those of "
            "other noise; walk to another palette or look, or choose layouts of a generator"
        )
    rngs = _keys(scene.seed, [(LAYOUT, scene.dice.layout)] * len(palettes))
    asked = palettes.to(shelf.device)
    return draw(ready.layout_method, ready.layout_nets, palette=asked, real=asked, rngs=rngs).label


def _looks(shelf: Shelf, state: State, ready: ReadySet, mix: Tensor) -> Tensor | None:
    scene, walk = state.scene, state.walk
    if ready.looks is None:
        return None
    bank = shelf.painting(scene.painter).bank
    assert bank is not None, "sets have looks where painters take them"
    numbers = rand([generator(scene.seed, PAINTER, scene.dice.painter)], (1 + bank.shown.shape[1],))

    def look(looks: Any, dice: int) -> Tensor:
        style, _ = looks.draw([None], [(scene.seed, STYLE, dice)])
        if style.is_floating_point():
            return style
        return bank.looks(style.to(bank.styles.device), numbers[:, 1:].to(bank.styles.device))

    first = look(ready.looks, scene.dice.style)
    if walk.what != "style":
        return first.expand(len(mix), -1, -1)
    last = look(replace(ready.looks, row=None), walk.to)
    return torch.lerp(first, last, mix[:, :, None].to(first))


def _nearer(shelf: Shelf, state: State) -> tuple[Tensor, Tensor | None]:
    """Return the labels of an edit whose last object comes nearer, and the look of its pair."""
    steps, bank = state.edit.steps, shelf.objects()
    if bank is None or not steps or not isinstance(steps[-1], Put):
        raise UserError("nothing can come nearer; put an object into the picture first (part Edit)")
    last, (height, width) = steps[-1], shelf.real.size
    canvas.require_object(bank, last)
    ends = np.cumsum(bank.bank.laws.ends[bank.bank.kind[last.object]])
    far = int(np.searchsorted(ends, FARTHEST * ends[-1]) / len(ends) * height)
    near = max(last.y, far + 1)
    labels = []
    for t in np.linspace(0, 1, state.walk.frames):
        middle = round(width / 2 + (last.x - width / 2) * (0.3 + 0.7 * t))
        y = round(far + (near - far) * t)
        step = last.model_copy(update={"x": max(0, middle), "y": y, "scale": None})
        try:
            work = edits.apply(shelf, state.edit.model_copy(update={"steps": (*steps[:-1], step)}))
        except UserError:
            continue  # too small to be seen yet
        labels.append(work.tensor())
    if len(labels) < 2:
        raise UserError("the object is too small to be seen on its way; choose a larger one")
    row = shelf.row_of(state.edit.pair)
    looks, _ = edits.looks_of(shelf, state.edit, row, shelf.painting(state.edit.painter))
    return torch.cat(labels), None if looks is None else looks.expand(len(labels), -1)


def _noise(ready: ReadySet, seed: int, dice: int) -> Tensor:
    return randn([generator(seed, LAYOUT, dice)], (ready.layout_method.noise_length,))


def _redrawn(
    shelf: Shelf, painter: str, count: int, seed: int, looks: Tensor | None
) -> Tensor | None:
    """Return another real look for every frame."""
    if looks is None:
        return None
    rngs = [generator(seed, STYLE, number) for number in range(count)]
    return (rand(rngs, (1,))[:, 0] * len(shelf.real)).long().to(looks.device)


def _keys(seed: int, keys: Sequence[tuple[int, int]]) -> list[torch.Generator]:
    return [generator(seed, *key) for key in keys]


def _paint(
    shelf: Shelf,
    painter: str,
    labels: Tensor,
    looks: Tensor | None,
    rngs: Sequence[torch.Generator],
) -> np.ndarray:
    """Paint frames one by one, as a video is painted: uint8 `[T, H, W, 3]`."""
    painting = shelf.painting(painter)
    method: Painter = painting.method
    frames = [
        paint_layouts(
            method,
            painting.nets,
            PaintRequest(labels[n : n + 1], None if looks is None else looks[n : n + 1]),
            [rng],
        )
        for n, rng in enumerate(rngs)
    ]
    return torch.cat(frames).permute(0, 2, 3, 1).cpu().numpy()


def _said(differences: dict[str, float]) -> str:
    parts = [f"{name} {value:.2f}" for name, value in differences.items()]
    known = any("without codes" in name for name in differences)
    more = "" if known else "; no painter without codes is trained here to compare with"
    return (
        f"grey levels between neighbouring frames, where the class stays: {', '.join(parts)}{more}"
    )
