"""Demo `partial`: a band of real layouts is removed and made anew."""

import numpy as np
import torch
from PIL import Image

from data.pairs.pair import Pair
from data.stage.progress import progress
from studio.demos.models import (
    BAND,
    Request,
    choose_pairs,
    editors,
    labels_of,
    load,
    open_real,
    slerp,
)
from studio.demos.panels import Shown, cell, checkered, page
from synth.layouts.common.editing import with_hole
from synth.layouts.common.masks import band_of
from synth.training.method import generator, rand

LAYOUT = "partial_palette"
EXAMPLES = 4


@torch.no_grad()
def show(request: Request) -> Shown:
    """Remake one random band of each of some real layouts; the animation goes through noises."""
    models = load(request, editors())
    real = open_real(request, models)
    pairs = choose_pairs(real, real.select("real"), EXAMPLES, request.seed)
    label = labels_of(pairs)
    rngs = [generator(request.seed, BAND, item) for item in range(len(pairs))]
    band = band_of(rand(rngs, (2,)), models.size, models.layout.config.bands)
    before = models.paint(label)
    ends = models.noise(0, len(pairs)), models.noise(1, len(pairs))
    pages, made = [], []
    with progress(request.frames, "partial", "frames") as advance:
        for t in np.linspace(0, 1, request.frames):
            z = slerp(*ends, float(t))
            drawn = with_hole(models.layout, models.layout_nets, real=label, hole=band, z=z)
            made.append(drawn.label)
            cells = zip(
                pairs,
                models.color(label),
                before,
                band.numpy(),
                models.color(drawn.label),
                models.paint(drawn.label),
                strict=True,
            )
            pages.append([_row(*item) for item in cells])
            advance()
    strip = page(pages[0], [pair.id for pair in pairs])
    frames: list[Image.Image] = [page([row[2:] for row in rows]) for rows in pages]
    inside = [(item != label)[band].float().mean() for item in made]
    between = (made[0] != made[-1])[band].float().mean()
    numbers = {
        "pairs": [pair.id for pair in pairs],
        "removed": [round(float(item), 6) for item in band.float().mean((1, 2))],
        "changed": [round(float(item), 6) for item in inside],
        "changed_by_noise": round(float(between), 6),
        "changed_outside": sum(int((item != label)[~band].sum()) for item in made),
    }
    said = (
        f"{100 * float(inside[0]):.0f} % of the removed pixels have another class than before, "
        f"{100 * float(between):.0f} % with other noise; none changed outside"
    )
    return Shown(strip, frames, numbers, said)


def _row(
    pair: Pair,
    layout: np.ndarray,
    repainted: np.ndarray,
    band: np.ndarray,
    new_layout: np.ndarray,
    painted: np.ndarray,
) -> list[np.ndarray]:
    return [
        cell(pair.image, "real image"),
        cell(layout, "real layout"),
        cell(repainted, "real layout, painted"),
        cell(checkered(layout, band), "band removed"),
        cell(new_layout, "new layout"),
        cell(painted, "new layout, painted"),
    ]
