"""Demo `palette`: from one sampled palette to another, with the same noise."""

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image

from studio.demos.models import PALETTE, Models, Request, follow_palettes, load
from studio.demos.panels import (
    Shown,
    bars_of,
    cell,
    columns,
    draw_bars,
    heat,
    largest,
    page,
    titled,
)
from synth.layouts.common.rounding import round_layout
from synth.training.method import generator

LAYOUT = "semantic_palette"
SERIES = ("asked", "made", "raw")
SHARES = "shares, %; raw: before rounding"
COLUMNS = 6
MOST_SPREAD = 1.0


@torch.no_grad()
def show(request: Request) -> Shown:
    """Mix two sampled palettes linearly; noise and painter's noise stay.

    Shares are those asked for, those of the label, and those of the likeliest classes before the
    label is rounded to its palette (`raw`): what the generator itself has learnt.
    """
    models = load(request, follow_palettes())
    seed = int(torch.randint(2**31, (1,), generator=generator(request.seed, PALETTE)))
    ends = torch.from_numpy(models.palettes.sample(2, seed))
    mix = torch.linspace(0, 1, request.frames)
    asked = torch.lerp(ends[:1], ends[1:], mix[:, None])
    soft, made = models.whole(models.noise(0).expand(request.frames, -1), asked)
    label = round_layout(soft, asked, models.layout.config.rounding)
    shares = {
        "asked": asked.numpy(),
        "made": models.shares(label),
        "raw": models.shares(soft.argmax(1)),
    }
    # the two losses, pixel by pixel
    maps = {
        "spread": (made.mask.sum(1) - 1).square().numpy(),
        "entropy": -torch.xlogy(made.soft, made.soft).sum(1).numpy(),
    }
    panels = _panels(models, label, shares, maps)
    chosen = columns(COLUMNS, request.frames)
    strip = page([[panel[i] for i in chosen] for panel in panels.values()])
    frames = [_frame([panel[i] for panel in panels.values()]) for i in range(request.frames)]
    away = {name: _away(shares[name], shares["asked"]) for name in ("made", "raw")}
    numbers = {
        "classes": list(models.classes.names),
        "mix": [round(float(t), 4) for t in mix],
        **{name: np.round(value, 6).tolist() for name, value in shares.items()},
        "spread": [round(float(item.mean()), 6) for item in maps["spread"]],
        "entropy": [round(float(item.mean()), 6) for item in maps["entropy"]],
        "away": away,
    }
    said = (
        f"labels miss the palettes asked for by {100 * away['made']:.2f} % of the pixels, "
        f"the likeliest classes by {100 * away['raw']:.1f} %"
    )
    return Shown(strip, frames, numbers, said)


def _panels(
    models: Models,
    label: torch.Tensor,
    shares: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
) -> dict[str, list[np.ndarray]]:
    ids = largest(np.concatenate(list(shares.values())))
    longest = max(float(value.max()) for value in shares.values())
    most = float(np.log(models.classes.num_classes))
    bars = [
        draw_bars(bars_of(models.classes, ids, row), SERIES, longest)
        for row in zip(*(shares[name] for name in SERIES), strict=True)
    ]
    images, layouts = models.paint(label), models.color(label)
    steps = np.linspace(0, 100, len(label))
    return {
        "layout": [
            cell(item, f"layout, {step:.0f} % of the way")
            for item, step in zip(layouts, steps, strict=True)
        ],
        "image": [cell(item, "painted") for item in images],
        "spread": [
            cell(heat(item, MOST_SPREAD, models.size), f"spread, mean {item.mean():.3f}")
            for item in maps["spread"]
        ],
        "entropy": [
            cell(heat(item, most, models.size), f"entropy, mean {item.mean():.3f} of {most:.2f}")
            for item in maps["entropy"]
        ],
        "bars": [titled(item, SHARES) for item in bars],
    }


def _frame(cells: list[np.ndarray]) -> Image.Image:
    layout, image, spread, entropy, bars = cells
    maps = np.asarray(page([[layout, image], [spread, entropy]]))
    return page([[maps, bars]])


def _away(got: np.ndarray, asked: np.ndarray) -> float:
    """Return the mean total variation: the share of pixels that would have to change class."""
    return round(float(np.abs(got - asked).sum(1).mean() / 2), 6)
