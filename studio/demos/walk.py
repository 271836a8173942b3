"""Demo `walk`: an object of the bank comes nearer in a real scene, painted in one look."""

from typing import Any

import numpy as np

from data.stage.errors import UserError
from studio.acts import walk
from studio.demos.models import PAIRS, Request
from studio.demos.panels import Shown, cell, columns, page
from studio.shelf import Shelf, beside
from studio.state import State, parse

LAYOUT = "transplant"
COLUMNS = 6
FOOT = 0.9  # of the height: where the object ends


def show(request: Request) -> Shown:
    """Let an object come nearer; all models are those of the folder that `real` lies in.

    Numbers are how many grey levels neighbouring frames differ by where the class stays, with one
    mode kept, with another one for each frame, and for painters without codes.
    """
    shelf = beside(request.real, request.painter)
    walked = walk.show(shelf, _state(shelf, request))
    colors = shelf.real.classes.colorize(walked.labels)
    panels = [
        (cell(color, f"layout, frame {number}"), cell(image, "painted"))
        for number, (color, image) in enumerate(zip(colors, walked.images, strict=True), 1)
    ]
    chosen = columns(COLUMNS, len(panels))
    strip = page([[panels[i][row] for i in chosen] for row in range(2)])
    numbers: dict[str, Any] = {"differences": walked.differences, "frames": len(panels)}
    return Shown(strip, [page([[*pair]]) for pair in panels], numbers, walked.said)


def _state(shelf: Shelf, request: Request) -> State:
    """Choose by the seed a pair, and one of the larger objects of the bank."""
    found = shelf.objects()
    if found is None or not len(found.bank):
        raise UserError(
            f"{shelf.artifacts / 'layouts'} has no bank of objects; add transplant to train.layouts"
        )
    rng = np.random.default_rng(np.random.SeedSequence([request.seed, PAIRS]))
    large = np.argsort(-found.bank.area, kind="stable")[: max(1, len(found.bank) // 4)]
    height, width = shelf.real.size
    put = {
        "kind": "put",
        "object": int(rng.choice(large)),
        "x": width // 2,
        "y": int(FOOT * height),
    }
    painter = request.painter.name
    edit = {
        "pair": shelf.real.ids()[int(rng.integers(len(shelf.real)))],
        "painter": painter,
        "seed": request.seed,
        "steps": [put],
    }
    layouts = shelf.layouts()[0]
    scene = {"layouts": layouts, "painter": painter, "seed": request.seed}
    walked = {"what": "nearer", "frames": request.frames}
    return parse({"scene": scene, "edit": edit, "walk": walked, "shown": "edit"})
