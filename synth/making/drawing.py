"""Draw the pairs of a set: each is a function of models, set, run seed and its index."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synth.layouts import LAYOUTS
from synth.layouts.common.edits import Bands
from synth.making.painted import Painted, moment, to_cpu
from synth.making.sets import CheckedSet, ReadySet
from synth.training.method import Around, Drawn, Painter, PaintRequest, generator

# Streams of random numbers of a pair; each draws from (run seed, STREAM, index of the pair).
PARENT, PALETTE, LAYOUT, PAINTER, STYLE, UNLABELLED = 0, 1, 2, 3, 4, 5
# An image that is painted again draws from streams PAINTER + again * REPAINT_STRIDE, 7, 11, 15 and
# so on, and STYLE + again * REPAINT_STRIDE: no stream may have such a number, and another stride
# would change every such image.
REPAINT_STRIDE = 4


@dataclass(frozen=True)
class Dice:
    """The numbers that the draws of a pair come from: in production all are its index.

    `parent` gives the real pair that it starts from, `palette` what is asked for, `layout` and
    `painter` their noise, `style` the look.
    """

    parent: int
    palette: int
    layout: int
    painter: int
    style: int

    @classmethod
    def alike(cls, index: int) -> "Dice":
        """Return those of pair `index` of a set."""
        return cls(index, index, index, index, index)


def paint(ready: ReadySet, indices: Sequence[int], seed: int, again: int = 0) -> Painted:
    """Draw and paint the pairs of the given indices, one batch; see `paint_dice`."""
    return paint_dice(ready, [Dice.alike(index) for index in indices], seed, again)


@torch.no_grad()
def paint_dice(ready: ReadySet, dice: Sequence[Dice], seed: int, again: int = 0) -> Painted:
    """Draw and paint a pair for each of the dice, one batch.

    A pair is a function of (models, set, run seed, dice, again); its bytes also depend on the
    number of items in the batch and of threads, which is why both are parameters. `again` > 0
    paints the same layouts with other noise and in other looks. On an accelerator the batch may
    still be under way when this returns.
    """
    clock, began = time.perf_counter(), moment(ready.device)
    rows = [parent_row(seed, one.parent, len(ready.real_ids)) for one in dice]
    entry = LAYOUTS[ready.layouts]
    derives = entry.derives
    parents = _images(ready, rows) if ready.keep or entry.composes else None
    drawn = _draw(ready, rows, dice, seed, parents)
    noises = [one.painter for one in dice]
    rngs = _rngs(seed, PAINTER + again * REPAINT_STRIDE, noises, ready.device)
    style, looks = None, [None] * len(rows)
    if ready.looks is not None:
        own = [int(ready.rows[row]) if derives else None for row in rows]
        keys = [(seed, STYLE + again * REPAINT_STRIDE, one.style) for one in dice]
        style, looks = ready.looks.draw(own, keys)
        style = style.to(ready.device)
    if ready.painter is None:
        pixels = _drawn(drawn.image)
    else:
        request = PaintRequest(drawn.label, style, _around(ready, drawn, parents))
        pixels = paint_layouts(ready.painter, ready.painter_nets, request, rngs)
        pixels = _kept(ready, drawn, parents, pixels)
    suffix = f"-{again}" if again else ""
    return Painted(
        ids=tuple(f"{ready.name}-{one.layout:07d}{suffix}" for one in dice),
        source=ready.name,
        pixels=to_cpu(pixels),
        label=to_cpu(drawn.label.to(torch.uint8)),
        target=None if drawn.target is None else to_cpu(drawn.target),
        edited=None if drawn.edited is None else to_cpu(drawn.edited),
        parents=tuple(ready.real_ids[row] if derives else None for row in rows),
        styles=tuple(looks),
        donors=_donors(ready, drawn),
        seeds=tuple(seed << 32 | one.layout for one in dice),
        began=began,
        ready=moment(ready.device),  # after the copies, which are in the same queue
        spent=time.perf_counter() - clock,
    )


def paint_layouts(
    painter: Painter,
    nets: nn.ModuleDict,
    request: PaintRequest,
    rngs: Sequence[torch.Generator],
) -> torch.Tensor:
    """Paint what is asked for, uint8 `[B, 3, H, W]`, one generator each."""
    return as_pixels(painter.sample(nets, request, rngs))


def as_pixels(images: Tensor) -> Tensor:
    """Return images `[B, 3, H, W]` in [-1, 1] as uint8."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()


def composite(image: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Return `painted` where `mask` is true and `image` elsewhere, value for value.

    Images are `[B, 3, H, W]` of one type, the mask is bool `[B, H, W]`.
    """
    return torch.where(mask[:, None], painted, image)


def overlay(image: Tensor, behind: Tensor, painted: Tensor, alpha: Tensor) -> Tensor:
    """Lay objects over painted images as they lie, in `image`, over those `behind` them.

    All uint8 `[B, 3, H, W]`; `alpha` float32 `[B, H, W]` is how far a pixel is an object's.
    """
    # image = (1 - alpha) behind + alpha object, of one object or of several
    change = painted.float() - behind.float()
    return (image.float() + (1 - alpha[:, None]) * change).round().clamp(0, 255).byte()


def draw_palette(checked: ReadySet | CheckedSet, index: int, seed: int) -> np.ndarray:
    """Draw the palette of pair `index`, float32 `[C]`; controls hold where there are any."""
    key = _seed(seed, PALETTE, index)
    if checked.control is None:
        return checked.palettes.sample(1, key)[0]
    return checked.control.sample(key)


def parent_row(seed: int, index: int, num_real: int) -> int:
    """Return the real pair that pair `index` is given: every epoch visits each real pair once."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, PARENT, index // num_real]))
    return int(rng.permutation(num_real)[index % num_real])


def _images(ready: ReadySet, rows: Sequence[int]) -> torch.Tensor:
    images = torch.from_numpy(ready.real.images(ready.rows[rows]))
    return images.permute(0, 3, 1, 2).to(ready.device)


def _around(ready: ReadySet, drawn: Drawn, parents: Tensor | None) -> Around | None:
    """Return the real pixels that a painter may look at, those that are kept."""
    if not ready.keep:
        return None
    if not isinstance(ready.keep, bool):
        return Around(_drawn(drawn.image).float() / 127.5 - 1, _alpha(ready, drawn) >= 0.5)
    return Around(_drawn(parents).float() / 127.5 - 1, ~drawn.edits())


def _kept(ready: ReadySet, drawn: Drawn, parents: Tensor | None, painted: Tensor) -> Tensor:
    """Put the pixels that a set keeps over painted ones."""
    if not ready.keep:
        return painted
    if not isinstance(ready.keep, bool):
        return overlay(_drawn(drawn.image), _drawn(drawn.behind), painted, _alpha(ready, drawn))
    return composite(_drawn(parents), painted, drawn.edits())


def _alpha(ready: ReadySet, drawn: Drawn) -> Tensor:
    """Return how far a pixel is a real object's: one that was put there, or any."""
    alpha = _drawn(drawn.alpha)
    if ready.keep == "donors":
        return alpha
    # objects that were there have no edge of their own, those that were put there keep theirs
    return alpha.masked_fill(_drawn(drawn.objects) & (alpha == 0), 1.0)


def _drawn(found: Tensor | None) -> Tensor:
    assert found is not None, "a set whose layouts do not draw this was refused"
    return found


def _donors(ready: ReadySet, drawn: Drawn) -> tuple[tuple[str, ...] | None, ...]:
    """Return the ids of the real pairs that objects come from, each once."""
    if drawn.donors is None:
        return (None,) * len(drawn.label)
    return tuple(tuple(dict.fromkeys(ready.real_ids[r] for r in rows)) for rows in drawn.donors)


def _draw(
    ready: ReadySet,
    rows: Sequence[int],
    dice: Sequence[Dice],
    seed: int,
    parents: Tensor | None,
) -> Drawn:
    method, nets = ready.layout_method, ready.layout_nets
    real = ready.real_labels[rows].long().to(ready.device)
    rngs = _rngs(seed, LAYOUT, [one.layout for one in dice], ready.device)
    if ready.editor is not None:
        return ready.editor.draw(method, nets, real=real, rngs=rngs)
    palettes = np.stack([draw_palette(ready, one.palette, seed) for one in dice])
    asked = torch.as_tensor(palettes).to(ready.device)
    if LAYOUTS[ready.layouts].composes:
        return method.compose(
            palette=asked,
            label=real,
            image=_drawn(parents),
            rows=rows,
            rngs=rngs,
            bands=_bands(ready),
        )
    draw = LAYOUTS[ready.layouts].draw
    assert draw is not None, "a set that makes no pairs was refused"
    return draw(method, nets, palette=asked, real=real, rngs=rngs)


def _bands(ready: ReadySet) -> Bands | None:
    """Return the real pairs that bands are cut from, where a set has some."""
    if ready.bands is None:
        return None
    return Bands(ready.bands, ready.real_labels.numpy(), ready.real.images)


def _rngs(
    seed: int, stream: int, indices: Sequence[int], device: torch.device
) -> list[torch.Generator]:
    return [generator(seed, stream, index, device=device) for index in indices]


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
