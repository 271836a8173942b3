"""Demo `latent`: from one noise to another, with the same palette."""

import numpy as np
import torch
from PIL import Image

from studio.demos.models import PALETTE, Request, follow_palettes, load, slerp
from studio.demos.palette import COLUMNS, SERIES
from studio.demos.panels import Shown, bars_of, cell, columns, draw_bars, largest, page, titled
from synth.layouts.common.rounding import round_layout
from synth.training.method import generator

LAYOUT = "semantic_palette"


@torch.no_grad()
def show(request: Request) -> Shown:
    """Go from one noise to another on the sphere (see `slerp`) under one sampled palette."""
    models = load(request, follow_palettes())
    seed = int(torch.randint(2**31, (1,), generator=generator(request.seed, PALETTE)))
    palette = torch.from_numpy(models.palettes.sample(1, seed))
    mix = np.linspace(0, 1, request.frames)
    z = torch.cat([slerp(models.noise(0), models.noise(1), float(t)) for t in mix])
    asked = palette.expand(request.frames, -1)
    soft, _ = models.whole(z, asked)
    label = round_layout(soft, asked, models.layout.config.rounding)
    shares = (asked.numpy(), models.shares(label), models.shares(soft.argmax(1)))
    ids = largest(np.concatenate(shares))
    longest = max(float(value.max()) for value in shares)
    panels = [
        [
            cell(layout, f"layout, {100 * t:.0f} % of the way"),
            cell(image, "painted"),
            titled(
                draw_bars(bars_of(models.classes, ids, row), SERIES, longest), "share of pixels"
            ),
        ]
        for t, layout, image, *row in zip(
            mix, models.color(label), models.paint(label), *shares, strict=True
        )
    ]
    chosen = columns(COLUMNS, request.frames)
    strip = page([[panels[i][row] for i in chosen] for row in range(3)])
    frames: list[Image.Image] = [page([panel]) for panel in panels]
    moved = (label[1:] != label[:-1]).float().mean((1, 2))
    numbers = {
        "classes": list(models.classes.names),
        "mix": [round(float(t), 4) for t in mix],
        **{n: np.round(value, 6).tolist() for n, value in zip(SERIES, shares, strict=True)},
        "moved": [round(float(item), 6) for item in moved],
    }
    total, step = float((label[0] != label[-1]).float().mean()), float(moved.mean())
    said = (
        f"the ends differ in {100 * total:.1f} % of the pixels, neighbouring frames in "
        f"{100 * step:.1f} %"
    )
    return Shown(strip, frames, numbers, said)
