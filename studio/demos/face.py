"""Demo `face`: a class of real pairs grows or shrinks, while the look is kept."""

import numpy as np

from data.stage.errors import UserError
from studio.acts import edit
from studio.demos.models import Request, choose_pairs
from studio.demos.panels import Shown, cell, page
from studio.shelf import Shelf, beside
from studio.state import FACES, Edit, Resize

LAYOUT = "partial_palette"
EXAMPLES, GROWS = 4, 1.5


def show(request: Request) -> Shown:
    """Change shares step by step: those of `--share`, or of the first class of faces there is.

    All models are those of the folder that `real` lies in. Pixels outside stay as they are.
    """
    shelf = beside(request.real, request.painter)
    real = shelf.real
    names = [*dict(request.add)] or [name for name in FACES if name in real.classes.names][:1]
    if not names:
        raise UserError(
            f"{request.real} has no class of a face; name classes with --share CLASS=FRACTION"
        )
    ids = [real.classes.index(name) for name in names]
    shown = np.flatnonzero((real.column("palette")[:, ids] > 0).all(1))
    pairs = choose_pairs(
        real, shown if len(shown) else np.arange(len(real)), EXAMPLES, request.seed
    )
    frames, outside = [], 0
    for t in np.linspace(0, 1, request.frames):
        rows = []
        for pair in pairs:
            made = edit.show(shelf, _edit(shelf, request, pair.id, names, float(t)))
            mask = made.pair.edited
            assert mask is not None
            outside += int((made.pair.image != pair.image).any(2)[~mask].sum())
            colors = [real.classes.colorize(one) for one in (pair.label, made.pair.label)]
            rows.append(
                [
                    cell(pair.image, "real image"),
                    cell(colors[0], "real layout"),
                    cell(colors[1], "new layout"),
                    cell(made.pair.image, "in its own look"),
                ]
            )
        frames.append(page(rows))
    numbers = {"pairs": [pair.id for pair in pairs], "classes": names, "changed_outside": outside}
    return Shown(
        frames[-1], frames, numbers, f"{', '.join(names)} changed; {outside} pixels outside"
    )


def _edit(shelf: Shelf, request: Request, pair: str, names: list[str], t: float) -> Edit:
    palette = shelf.real.column("palette")[shelf.row_of(pair)]
    asked = dict(request.add)
    steps = []
    for name in names:
        was = float(palette[shelf.real.classes.index(name)])
        to = asked.get(name, min(0.9, was * GROWS))
        steps.append(Resize(name=name, share=was + t * (to - was)))
    painter = request.painter.name
    return Edit(pair=pair, painter=painter, seed=request.seed, steps=tuple(steps))
