"""What pairs to make: a recipe is where layouts come from and who paints them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from data.pairs.pair import Pair
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.params import Params, choose
from synth.layouts import LAYOUTS
from synth.layouts.common.edits import Editor, Edits, editor
from synth.making.painted import Painted, moment, to_cpu
from synth.painters import PAINTERS
from synth.palettes import adaptive
from synth.palettes.controls import Control, Controls, control
from synth.palettes.palette import PaletteModel
from synth.training import artifact
from synth.training.method import Drawn, Given, Method, Painter, PaintRequest, generator

# Streams of random numbers of a pair; each draws from (run seed, STREAM, index of the pair). STYLE
# is kept for the look that is painted.
PARENT, PALETTE, LAYOUT, PAINTER, STYLE = 0, 1, 2, 3, 4
# An image that is painted again draws from stream PAINTER + again * REPAINT_STRIDE, 7, 11, 15 and
# so on: no stream may have such a number, and another stride would change every such image.
REPAINT_STRIDE = 4


class RecipeParams(Params):
    """A row of `recipes`: a layout method, a painter, how the segmenter adapts, and what is asked.

    Layouts and painter may also be named by the joint that fine-tuned them, layouts by the adaptive
    palettes that they are asked for. `controls` are for layout methods that follow a palette,
    `edits` for the partial editor.
    """

    layouts: str
    painter: str
    adapt: str
    controls: Controls = Controls()
    edits: Edits = Edits()


@dataclass(frozen=True)
class Request:
    """A recipe whose parts are known to fit together, before any network is built.

    `layouts` and `painter` are registry names, also where a joint fine-tuned them.
    """

    name: str
    layouts: str
    painter: str
    palettes: PaletteModel | adaptive.AdaptivePalettes
    control: Control | None
    editor: Editor | None


@dataclass(frozen=True)
class Recipe:
    """A recipe ready to make pairs: trained networks, palettes and the real training pairs.

    `layouts` is the registry name of the layout method, also where a joint fine-tuned it.
    """

    name: str
    layouts: str
    layout_method: Method | None
    layout_nets: nn.ModuleDict | None
    painter: Painter
    painter_nets: nn.ModuleDict
    palettes: PaletteModel | adaptive.AdaptivePalettes
    control: Control | None
    editor: Editor | None
    real_labels: torch.Tensor  # uint8 [N, H, W], of the pairs that layouts may start from
    real_ids: tuple[str, ...]
    device: torch.device


def check(
    name: str, row: RecipeParams, *, real: PairSet, palette: Path, layout: Path, painter: Path
) -> Request | None:
    """Check that a recipe can be made of these artifacts; None for a recipe of real pairs only.

    Raises `UserError` for unknown methods, for half a recipe, and for artifacts that were trained
    on other classes or at another size.
    """
    layouts = _method(layout, row.layouts, LAYOUTS, "layout method")
    paints = _method(painter, row.painter, PAINTERS, "painter")
    draws, paints_images = LAYOUTS[layouts].draw is not None, PAINTERS[paints].build is not None
    if draws != paints_images:
        raise UserError(
            f"recipe {name!r} has layouts {row.layouts!r} and painter {row.painter!r}; give both, "
            "or `none` for both"
        )
    if not draws:
        return None
    palettes = adaptive.load(layout, PaletteModel.load(palette))
    asked = None
    leaning = isinstance(palettes, adaptive.AdaptivePalettes)
    if (leaning or row.controls != Controls()) and not LAYOUTS[layouts].follows_palette:
        has = "adaptive palettes" if leaning else "controls"
        raise UserError(
            f"recipe {name!r} has {has}, but its layouts {row.layouts!r} follow no palette; "
            f"use {_that_follow()} or remove the {has}"
        )
    if row.controls != Controls():
        asked = control(row.controls, real.classes, palettes, real.column("palette"))
    for path, named in ((layout, row.layouts), (painter, row.painter)):
        if artifact.checked(path, real).name != named:
            holds = artifact.describe(path).name
            raise UserError(f"{path} holds {holds!r}, the recipe asks for {named!r}")
    edits = None if row.edits == Edits() else _editor(name, row.edits, layouts, layout, real)
    return Request(name, layouts, paints, palettes, asked, edits)


def load(
    name: str,
    row: RecipeParams,
    *,
    real: PairSet,
    palette: Path,
    layout: Path,
    painter: Path,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Recipe | None:
    """Load what a recipe needs; None for a recipe of real pairs only. Raises as `check` does.

    The painter computes in `dtype`, layouts always in float32.
    """
    request = check(name, row, real=real, palette=palette, layout=layout, painter=painter)
    if request is None:
        return None
    palettes = request.palettes
    layout_method, layout_nets = _layouts(layout, request.layouts, real, palettes, device)
    painter_method, painter_nets = load_painter(painter, request.painter, real, device)
    painter_nets = PAINTERS[request.painter].prepare(painter_method, painter_nets, dtype)
    rows = range(len(real)) if request.editor is None else request.editor.rows.tolist()
    labels = torch.from_numpy(real.labels(rows))
    ids = real.ids()
    return Recipe(
        name,
        request.layouts,
        layout_method,
        layout_nets,
        painter_method,
        painter_nets,
        palettes,
        request.control,
        request.editor,
        labels,
        tuple(ids[row] for row in rows),
        device,
    )


def load_painter(
    path: Path, name: str, real: PairSet, device: torch.device
) -> tuple[Painter, nn.ModuleDict]:
    """Build the painter of the registry name `name` and load its trained networks."""
    given = Given(real.classes.num_classes, real.size)
    method, nets = artifact.load(path, PAINTERS[name], given)
    return method, nets.to(device)


def make_pairs(recipe: Recipe, indices: Sequence[int], seed: int, again: int = 0) -> list[Pair]:
    """Make the synthetic pairs of the given indices, one batch; see `paint`."""
    painted = paint(recipe, indices, seed, again)
    return [painted.pair(slot) for slot in range(len(indices))]


@torch.no_grad()
def paint(recipe: Recipe, indices: Sequence[int], seed: int, again: int = 0) -> Painted:
    """Draw and paint the synthetic pairs of the given indices, one batch.

    A pair is a function of (models, recipe, run seed, index, again); its bytes also depend on the
    number of items in the batch and of threads, which is why both are parameters. `again` > 0
    paints the same layouts with other noise. On an accelerator the batch may still be under way
    when this returns.
    """
    clock, began = time.perf_counter(), moment(recipe.device)
    rows = [parent_row(seed, index, len(recipe.real_ids)) for index in indices]
    drawn = _draw(recipe, rows, indices, seed)
    rngs = _rngs(seed, PAINTER + again * REPAINT_STRIDE, indices, recipe.device)
    images = recipe.painter.sample(recipe.painter_nets, PaintRequest(drawn.label), rngs)
    pixels = ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()
    suffix = f"-{again}" if again else ""
    return Painted(
        ids=tuple(f"{recipe.name}-{index:07d}{suffix}" for index in indices),
        source=recipe.name,
        pixels=to_cpu(pixels),
        label=to_cpu(drawn.label.to(torch.uint8)),
        target=None if drawn.target is None else to_cpu(drawn.target),
        edited=None if drawn.edited is None else to_cpu(drawn.edited),
        parents=tuple(recipe.real_ids[row] if drawn.derived else None for row in rows),
        seeds=tuple(seed << 32 | index for index in indices),
        began=began,
        ready=moment(recipe.device),  # after the copies, which are in the same queue
        spent=time.perf_counter() - clock,
    )


def draw_palette(recipe: Recipe | Request, index: int, seed: int) -> np.ndarray:
    """Draw the palette of pair `index`, float32 `[C]`; controls hold where there are any."""
    key = _seed(seed, PALETTE, index)
    if recipe.control is None:
        return recipe.palettes.sample(1, key)[0]
    return recipe.control.sample(key)


def parent_row(seed: int, index: int, num_real: int) -> int:
    """Return the real pair that pair `index` is given: every epoch visits each real pair once."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, PARENT, index // num_real]))
    return int(rng.permutation(num_real)[index % num_real])


def _draw(recipe: Recipe, rows: Sequence[int], indices: Sequence[int], seed: int) -> Drawn:
    nets = recipe.layout_method, recipe.layout_nets
    given = {
        "real": recipe.real_labels[rows].long().to(recipe.device),
        "rngs": _rngs(seed, LAYOUT, indices, recipe.device),
    }
    if recipe.editor is not None:
        return recipe.editor.draw(*nets, **given)
    palettes = np.stack([draw_palette(recipe, index, seed) for index in indices])
    asked = torch.as_tensor(palettes).to(recipe.device)
    return LAYOUTS[recipe.layouts].draw(*nets, palette=asked, **given)


def _editor(name: str, edits: Edits, layouts: str, layout: Path, real: PairSet) -> Editor:
    if not LAYOUTS[layouts].edits:
        can = ", ".join(name for name, entry in LAYOUTS.items() if entry.edits)
        raise UserError(
            f"recipe {name!r} has edits, but its layouts {layouts!r} are no edits of real ones; "
            f"use {can} or remove the edits"
        )
    config = artifact.config_of(layout, LAYOUTS[layouts])
    return editor(edits, real.classes, config.masks, real.column("palette"))


def _method(path: Path, name: str, registry: Mapping[str, Any], what: str) -> str:
    """Return the registry name behind a name in a recipe, which may be that of a joint."""
    if name not in registry and (path / artifact.DESCRIPTION).is_file():
        name = artifact.describe(path).method
    choose(name, registry, what)
    return name


def _that_follow() -> str:
    return ", ".join(name for name, entry in LAYOUTS.items() if entry.follows_palette)


def _layouts(
    path: Path, name: str, real: PairSet, palettes: PaletteModel, device: torch.device
) -> tuple[Method | None, nn.ModuleDict | None]:
    entry = LAYOUTS[name]
    if entry.build is None:
        return None, None
    given = Given(real.classes.num_classes, real.size, palettes)
    method, nets = artifact.load(path, entry, given)
    return method, nets.to(device)


def _rngs(
    seed: int, stream: int, indices: Sequence[int], device: torch.device
) -> list[torch.Generator]:
    return [generator(seed, stream, index, device=device) for index in indices]


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
