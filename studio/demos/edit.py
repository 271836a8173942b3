"""Demo `edit`: classes are taken out of real layouts, or grow in them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.pairs.pair import Pair
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.progress import log, progress
from studio.demos.models import (
    Models,
    Request,
    choose_pairs,
    editors,
    labels_of,
    load,
    open_real,
    slerp,
)
from studio.demos.panels import (
    Shown,
    bars_of,
    cell,
    checkered,
    draw_bars,
    faded,
    largest,
    page,
    titled,
)
from synth.layouts.common.editing import with_palette, without_classes
from synth.layouts.common.edits import growable, removable
from synth.training.method import Drawn

LAYOUT = "partial_palette"
SERIES = ("asked", "made", "was")
EXAMPLES = 4
NUM_BARS = 7
SHARES = "shares, %"
VISIBLE = 0.01  # share of the image from which an object is worth a look

Step = Callable[[float], Drawn]


@torch.no_grad()
def show(request: Request) -> Shown:
    """Edit some real layouts that can be edited so; the editor is the one for bands.

    With `remove` the animation goes through noises, with `add` from the share there is to the one
    asked for. Raises `UserError` for neither or both, for an unknown class, for a class that no
    real pair shows, and for a share that every pair has already.
    """
    if bool(request.remove) == bool(request.add):
        raise UserError(
            "say what to edit: --share CLASS=0 takes a class out, CLASS=FRACTION adds it"
        )
    models = load(request, editors())
    kind = "classes" if request.remove else "switch"
    real = open_real(request, models)
    rows = _removable(request, models, real) if request.remove else _growable(request, models, real)
    pairs = choose_pairs(real, rows, EXAMPLES, request.seed)
    if not models.layout.config.masks.get(kind, 0):
        log.info(
            f"{request.layout} was not trained for this; set `layouts.{models.name}.masks.{kind}` "
            "above 0 and train it again for better edits"
        )
    label = labels_of(pairs)
    step = (_removing if request.remove else _growing)(request, models, label)
    shown = 0 if request.remove else -1
    before = _before(models, pairs, label)
    drawn, after = [], []
    with progress(request.frames, "edit", "frames") as advance:
        for t in np.linspace(0, 1, request.frames):
            drawn.append(step(float(t)))
            after.append(_after(models, label, drawn[-1], request))
            advance()
    strip = page(
        [[*one, *two] for one, two in zip(before, after[shown], strict=True)],
        [pair.id for pair in pairs],
    )
    frames: list[Image.Image] = [page(rows) for rows in after]
    numbers = _numbers(models, pairs, label, drawn[shown])
    return Shown(strip, frames, numbers, _said(models, request, numbers))


def _removable(request: Request, models: Models, real: PairSet) -> np.ndarray:
    ids = [models.classes.index(name) for name in request.remove]
    share = real.column("palette")[:, ids].sum(1)
    candidates = real.select("real")
    found = candidates[removable(real.column("palette")[candidates][:, ids])]
    if not len(found):
        most = real.column("palette")[candidates].max(0)
        there = [models.classes.names[index] for index in np.flatnonzero(most > 0)]
        raise UserError(
            f"no pair of {request.real} shows {', '.join(request.remove)} beside other classes; "
            f"there is {', '.join(there)}"
        )
    visible = found[share[found] >= VISIBLE]
    return visible if len(visible) else found


def _growable(request: Request, models: Models, real: PairSet) -> np.ndarray:
    palette = real.column("palette")
    wrong = [f"{name}={share:g}" for name, share in request.add if not 0 < share < 1]
    if wrong or sum(share for _, share in request.add) >= 1:
        asked = ", ".join(wrong) or "all together"
        raise UserError(f"--share {asked}: fractions must be above 0 and, together, below 1")
    ids = [models.classes.index(name) for name, _ in request.add]
    wanted = np.array([share for _, share in request.add])
    candidates = real.select("real")
    found = candidates[growable(palette[candidates][:, ids], wanted)]
    if not len(found):
        asked = ", ".join(f"{name}={share:g}" for name, share in request.add)
        raise UserError(
            f"every pair of {request.real} has {asked} already, or nearly; ask for more"
        )
    return found


def _removing(request: Request, models: Models, label: Tensor) -> Step:
    classes = torch.zeros(len(label), models.classes.num_classes, dtype=torch.bool)
    classes[:, [models.classes.index(name) for name in request.remove]] = True
    ends = models.noise(0, len(label)), models.noise(1, len(label))

    def step(t: float) -> Drawn:
        z = slerp(*ends, t)
        return without_classes(models.layout, models.layout_nets, real=label, classes=classes, z=z)

    return step


def _growing(request: Request, models: Models, label: Tensor) -> Step:
    before = torch.from_numpy(models.shares(label))
    ids = [models.classes.index(name) for name, _ in request.add]
    wanted = torch.tensor([share for _, share in request.add])
    z = models.noise(0, len(label))

    def step(t: float) -> Drawn:
        palette = torch.zeros_like(before)
        palette[:, ids] = torch.lerp(before[:, ids], wanted.expand(len(label), -1), t)
        return with_palette(models.layout, models.layout_nets, real=label, palette=palette, z=z)

    return step


def _before(models: Models, pairs: Sequence[Pair], label: Tensor) -> list[list[np.ndarray]]:
    return [
        [
            cell(pair.image, "real image"),
            cell(layout, "real layout"),
            cell(painted, "real layout, painted"),
        ]
        for pair, layout, painted in zip(
            pairs, models.color(label), models.paint(label), strict=True
        )
    ]


def _after(models: Models, label: Tensor, drawn: Drawn, request: Request) -> list[list[np.ndarray]]:
    names = request.remove or tuple(name for name, _ in request.add)
    named = [models.classes.index(name) for name in names]
    assert drawn.target is not None
    shares = [drawn.target.numpy(), models.shares(drawn.label), models.shares(label)]
    moved = np.abs(shares[1] - shares[2])
    moved[:, named] = 0
    ids = [*named, *largest(moved, max(0, NUM_BARS - len(named)))]
    longest = max(float(value[:, ids].max()) for value in shares)
    rows = []
    for slot, (old, new, mask, painted) in enumerate(
        zip(
            models.color(label),
            models.color(drawn.label),
            drawn.edits().numpy(),
            models.paint(drawn.label),
            strict=True,
        )
    ):
        middle = (
            cell(checkered(old, mask), "no " + ", ".join(names))
            if request.remove
            else cell(faded(new, mask), "pixels that changed")
        )
        bars = bars_of(models.classes, ids, [item[slot] for item in shares])
        rows.append(
            [
                middle,
                cell(new, "new layout"),
                cell(painted, "new layout, painted"),
                titled(draw_bars(bars, SERIES, longest), SHARES),
            ]
        )
    return rows


def _numbers(models: Models, pairs: Sequence[Pair], label: Tensor, drawn: Drawn) -> dict[str, Any]:
    assert drawn.target is not None
    shares = (drawn.target.numpy(), models.shares(drawn.label), models.shares(label))
    changed = drawn.label != label
    return {
        "classes": list(models.classes.names),
        "pairs": [pair.id for pair in pairs],
        "changed": [round(float(item), 6) for item in changed.float().mean((1, 2))],
        "changed_outside": int(changed[~drawn.edits()].sum()),
        **{name: np.round(value, 6).tolist() for name, value in zip(SERIES, shares, strict=True)},
    }


def _said(models: Models, request: Request, numbers: dict[str, Any]) -> str:
    parts = []
    for name in request.remove or tuple(name for name, _ in request.add):
        index = models.classes.index(name)
        before, made = (
            "/".join(f"{100 * shares[index]:.2f}" for shares in numbers[key])
            for key in ("was", "made")
        )
        parts.append(f"{name} {before} % -> {made} %")
    return "; ".join(parts)
