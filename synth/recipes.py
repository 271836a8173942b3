"""What pairs to make: a recipe is where layouts come from and who paints them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from data.batches import load_tensors, onehot
from data.errors import UserError
from data.pairs import Pair
from data.params import Params, choose
from data.shards import PairSet
from synth import artifact
from synth.controls import Control, Controls, control
from synth.layouts import LAYOUTS
from synth.method import Drawn, Method, generator
from synth.painters import PAINTERS
from synth.palette import PaletteModel

# Streams of random numbers of a pair; each draws from (run seed, STREAM, index of the pair).
# An image that is painted again draws from (run seed, PAINTER + again * STREAMS, index).
PARENT, PALETTE, LAYOUT, PAINTER = 0, 1, 2, 3
STREAMS = 4


class RecipeParams(Params):
    """A row of `recipes`: a layout method, a painter, how the segmenter adapts, and `controls`.

    Layouts and painter may also be named by the joint that fine-tuned them.
    Controls are for layout methods that follow a palette.
    """

    layouts: str
    painter: str
    adapt: str
    controls: Controls = Controls()


class RepaintParams(Params):
    """`produce.repaint`: how many layouts are painted several times, and how often each."""

    num_layouts: int = Field(ge=1)
    num_images: int = Field(ge=2)


class ProduceParams(Params):
    """Section `produce`: how many synthetic pairs, and what their bytes depend on."""

    num_pairs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**31)
    threads: int = Field(ge=1)
    repaint: RepaintParams


@dataclass(frozen=True)
class Recipe:
    """A recipe ready to make pairs: trained networks, palettes and the real training pairs.

    `layouts` is the registry name of the layout method, also where a joint fine-tuned it.
    """

    name: str
    layouts: str
    layout_method: Method | None
    layout_nets: nn.ModuleDict | None
    painter: Method
    painter_nets: nn.ModuleDict
    palettes: PaletteModel
    control: Control | None
    real_labels: torch.Tensor  # uint8 [N, H, W]
    real_ids: tuple[str, ...]
    device: torch.device


def load(
    name: str,
    row: RecipeParams,
    *,
    real: PairSet,
    palette: Path,
    layout: Path,
    painter: Path,
    device: torch.device,
) -> Recipe | None:
    """Load what a recipe needs; None for a recipe of real pairs only.

    Raises `UserError` for unknown methods, for half a recipe, and for artifacts that were trained
    on other classes or at another size.
    """
    layouts = _method(layout, row.layouts, LAYOUTS, "layout method")
    paints = _method(painter, row.painter, PAINTERS, "painter")
    if (row.layouts == "none") != (row.painter == "none"):
        raise UserError(
            f"recipe {name!r} has layouts {row.layouts!r} and painter {row.painter!r}; give both, "
            "or `none` for both"
        )
    if row.layouts == "none":
        return None
    palettes = PaletteModel.load(palette)
    asked = None
    if row.controls != Controls():
        if not LAYOUTS[layouts].FOLLOWS_PALETTE:
            raise UserError(
                f"recipe {name!r} has controls, but its layouts {row.layouts!r} follow no palette; "
                f"use {_that_follow()} or remove the controls"
            )
        asked = control(row.controls, real.classes, palettes, real.column("palette"))
    for path, named in ((layout, row.layouts), (painter, row.painter)):
        if artifact.checked(path, real).name != named:
            holds = artifact.describe(path).name
            raise UserError(f"{path} holds {holds!r}, the recipe asks for {named!r}")
    layout_method, layout_nets = _layouts(layout, layouts, real, palettes, device)
    painter_method, painter_nets = load_painter(painter, paints, real, device)
    _, labels = load_tensors(real, range(len(real)))
    return Recipe(
        name,
        layouts,
        layout_method,
        layout_nets,
        painter_method,
        painter_nets,
        palettes,
        asked,
        labels,
        tuple(real.ids()),
        device,
    )


def load_painter(
    path: Path, name: str, real: PairSet, device: torch.device
) -> tuple[Method, nn.ModuleDict]:
    """Build the painter of the registry name `name` and load its trained networks."""
    entry = PAINTERS[name]
    config = artifact.describe(path).config
    method = entry.build(
        num_classes=real.classes.num_classes,
        size=real.size,
        **entry.Config(**config).model_dump(),
    )
    return method, artifact.load_nets(path, method.nets, method.ema).to(device)


@torch.no_grad()
def make_pairs(recipe: Recipe, indices: Sequence[int], seed: int, again: int = 0) -> list[Pair]:
    """Make the synthetic pairs of the given indices, one batch.

    A pair is a function of (models, recipe, run seed, index, again); its bytes also depend on the
    number of items in the batch and of threads, which is why both are parameters. `again` > 0
    paints the same layouts with other noise.
    """
    rows = [parent_row(seed, index, len(recipe.real_ids)) for index in indices]
    palettes = [draw_palette(recipe, index, seed) for index in indices]
    drawn: Drawn = LAYOUTS[recipe.layouts].draw(
        recipe.layout_method,
        recipe.layout_nets,
        palette=torch.as_tensor(np.stack(palettes)).to(recipe.device),
        real=recipe.real_labels[rows].long().to(recipe.device),
        rngs=_rngs(seed, LAYOUT, indices, recipe.device),
    )
    condition = onehot(drawn.label, recipe.palettes.num_classes)
    rngs = _rngs(seed, PAINTER + again * STREAMS, indices, recipe.device)
    images = recipe.painter.sample(recipe.painter_nets, condition, rngs)
    pixels = ((images.float() + 1) * 127.5).round().clamp(0, 255).byte().cpu()
    return [
        Pair(
            id=f"{recipe.name}-{index:07d}" + (f"-{again}" if again else ""),
            image=pixels[slot].permute(1, 2, 0).numpy(),
            label=drawn.label[slot].to(torch.uint8).cpu().numpy(),
            source=recipe.name,
            target=None if drawn.target is None else drawn.target[slot].cpu().numpy(),
            parent=recipe.real_ids[rows[slot]] if drawn.derived else None,
            edited=None if drawn.edited is None else drawn.edited[slot].cpu().numpy(),
            seed=seed << 32 | index,
        )
        for slot, index in enumerate(indices)
    ]


def draw_palette(recipe: Recipe, index: int, seed: int) -> np.ndarray:
    """Draw the palette of pair `index`, float32 `[C]`; controls hold where there are any."""
    key = _seed(seed, PALETTE, index)
    if recipe.control is None:
        return recipe.palettes.sample(1, key)[0]
    return recipe.control.sample(key)


def parent_row(seed: int, index: int, num_real: int) -> int:
    """Return the real pair that pair `index` is given: every epoch visits each real pair once."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, PARENT, index // num_real]))
    return int(rng.permutation(num_real)[index % num_real])


def _method(path: Path, name: str, registry: Mapping[str, Any], what: str) -> str:
    """Return the registry name behind a name in a recipe, which may be that of a joint."""
    if name not in registry and (path / artifact.DESCRIPTION).is_file():
        name = artifact.describe(path).method
    choose(name, registry, what)
    return name


def _that_follow() -> str:
    return ", ".join(name for name, entry in LAYOUTS.items() if entry.FOLLOWS_PALETTE)


def _layouts(
    path: Path, name: str, real: PairSet, palettes: PaletteModel, device: torch.device
) -> tuple[Method | None, nn.ModuleDict | None]:
    entry = LAYOUTS[name]
    config = artifact.describe(path).config
    method = entry.build(
        num_classes=real.classes.num_classes,
        size=real.size,
        palettes=palettes,
        **entry.Config(**config).model_dump(),
    )
    if method is None:
        return None, None
    return method, artifact.load_nets(path, method.nets, method.ema).to(device)


def _rngs(
    seed: int, stream: int, indices: Sequence[int], device: torch.device
) -> list[torch.Generator]:
    return [generator(seed, stream, index, device=device) for index in indices]


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
