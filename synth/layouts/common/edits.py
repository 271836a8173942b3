"""Edits of real layouts that a set asks for: bands and boxes made anew, classes out or grown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data.pairs.classes import ClassTable
from data.stage.errors import UserError
from data.stage.params import Params
from synth.layouts.common.activation import ABSENT_BELOW
from synth.layouts.common.editing import Editing, with_hole, with_palette, without_classes
from synth.layouts.common.masks import Lengths, MaskKind, band_of, box_of
from synth.training.method import Drawn, rand, randn

NUM_CANDIDATES = 16
"""Real labels among which the one is looked for that fits best around a hole."""

Like = Literal["another", "removed"]


class Edits(Params):
    """Key `edits` of a set whose layouts edit real ones: holes, `remove` or `add`.

    `bands` and `boxes` are made anew, one in each layout, half of them boxes where both are named:
    shortest and longest side, as fractions of the image's. They are asked for the palette that
    `another` real label has there, one that fits around the hole, or for the palette that was
    `removed`. `remove` names classes that are painted over with what surrounds them. `add` gives
    classes the share they grow to, 0 to 1 of the image; they displace what is there, and stay where
    they are.
    """

    bands: Lengths | None = None
    boxes: Lengths | None = None
    like: Like = "another"
    remove: tuple[str, ...] = ()
    add: dict[str, float] = Field(default_factory=dict)

    @property
    def holes(self) -> bool:
        """Whether bands or boxes are asked for."""
        return self.bands is not None or self.boxes is not None

    @model_validator(mode="after")
    def _one_kind(self) -> "Edits":
        if bool(self.remove) + bool(self.add) + self.holes > 1:
            raise ValueError("edits make bands and boxes, or remove, or add classes; make two sets")
        wrong = [f"{name}: {share:g}" for name, share in self.add.items() if not 0 < share < 1]
        if wrong or sum(self.add.values()) >= 1:
            asked = ", ".join(wrong) or "all together"
            raise ValueError(f"add {asked}: fractions must be above 0 and, together, below 1")
        return self


@dataclass(frozen=True)
class Editor:
    """Edits as arrays: `classes` bool `[C]` to remove, `palette` `[C]` to grow to, 0 for none.

    `rows` are the real pairs that can be edited so, `labels` uint8 `[N, H, W]` theirs, known once a
    set is loaded.
    """

    edits: Edits
    classes: Tensor
    palette: Tensor
    rows: np.ndarray
    labels: Tensor | None = None

    def draw(
        self,
        method: Editing,
        nets: nn.ModuleDict,
        *,
        real: Tensor,
        rngs: Sequence[torch.Generator],
    ) -> Drawn:
        """Edit real labels `[B, H, W]`, one generator each."""
        z, count = randn(rngs, (method.noise_length,)), len(real)
        if self.edits.holes:
            hole = self._holes(real, rngs)
            like = real if self.edits.like == "removed" else self._another(real, hole, rngs)
            return with_hole(method, nets, real=real, hole=hole, z=z, like=like)
        if self.classes.any():
            classes = self.classes.to(real.device).expand(count, -1)
            return without_classes(method, nets, real=real, classes=classes, z=z)
        palette = self.palette.to(real.device).expand(count, -1)
        return with_palette(method, nets, real=real, palette=palette, z=z)

    def _holes(self, real: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        places, size = rand(rngs, (5,)).to(real.device), real.shape[1:]
        bands, boxes = self.edits.bands, self.edits.boxes
        if boxes is None:
            return band_of(places[:, :2], size, bands or (1.0, 1.0))
        box = box_of(places[:, :4], size, boxes)
        if bands is None:
            return box
        is_box = places[:, 4, None, None] < 0.5
        return torch.where(is_box, box, band_of(places[:, :2], size, bands))

    def _another(self, real: Tensor, hole: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Return for each real label the one of some others that agrees best around its hole."""
        assert self.labels is not None, "a set is loaded before it is drawn"
        places = rand(rngs, (NUM_CANDIDATES,)).cpu()
        chosen = (places * len(self.labels)).long().clamp(max=len(self.labels) - 1)
        others = self.labels[chosen].to(real)
        return fitting(real, hole, others)


@dataclass(frozen=True)
class Bands:
    """Where bands of other real pairs come from: `labels` uint8 `[N, H, W]`, and images by row.

    `lengths` are those of the narrowest and the widest band, as fractions of the width.
    """

    lengths: Lengths
    labels: np.ndarray
    images: Callable[[Sequence[int]], np.ndarray]


def fitting(real: Tensor, hole: Tensor, others: Tensor) -> Tensor:
    """Return the one of `others` `[B, K, H, W]` that is most like `real` `[B, H, W]` around a hole.

    What counts are the pixels within an eighth of the shorter side of the hole, bool `[B, H, W]`. A
    label is not compared with itself, unless there is no other.
    """
    reach = max(1, min(real.shape[1:]) // 8)
    near = F.max_pool2d(hole[:, None].float(), 2 * reach + 1, 1, reach) > 0
    agree = (others == real[:, None]) & near & ~hole[:, None]
    score = agree.sum((2, 3)) - (others == real[:, None]).all((3, 2)).long() * real[0].numel()
    return others[torch.arange(len(real)), score.argmax(1)]


def editor(
    edits: Edits, classes: ClassTable, masks: Mapping[MaskKind, float], palettes: np.ndarray
) -> Editor:
    """Check edits against a class table, an editor's training and real palettes `[N, C]`.

    `masks` are the shares of the edits that the editor was trained with. Raises `UserError` for an
    unknown class, for an editor that was not trained for such edits, and where no real pair can be
    edited so.
    """
    for kind, says in _kinds(edits).items():
        if not masks.get(kind, 0):
            raise UserError(
                f"the set's edits {says}, but its layouts were trained without; set their "
                f"`masks.{kind}` above 0 (for example {_example(kind)})"
            )
    if edits.holes:
        nothing = torch.zeros(classes.num_classes)
        return Editor(edits, nothing.bool(), nothing, np.arange(len(palettes)))
    removed = torch.zeros(classes.num_classes, dtype=torch.bool)
    removed[[classes.index(name) for name in edits.remove]] = True
    grown = torch.zeros(classes.num_classes)
    for name, share in edits.add.items():
        grown[classes.index(name)] = share
    if edits.remove:
        fits = removable(palettes[:, removed.numpy()])
        missing = f"no real pair shows {', '.join(edits.remove)} beside other classes"
    else:
        named = grown.numpy() > 0
        fits = growable(palettes[:, named], grown.numpy()[named])
        asked = ", ".join(f"{name} {share:g}" for name, share in edits.add.items())
        missing = f"every real pair has {asked} already, or nearly; ask for larger fractions"
    if not fits.any():
        raise UserError(f"edits: {missing}")
    return Editor(edits, removed, grown, np.flatnonzero(fits))


def _kinds(edits: Edits) -> dict[MaskKind, str]:
    """Return what a set asks for, in words, by the kind of edit that its editor has to know."""
    kinds: dict[MaskKind, object] = {
        "band": edits.bands,
        "box": edits.boxes,
        "classes": edits.remove,
        "switch": edits.add,
    }
    words = {
        "band": "make bands anew",
        "box": "make boxes anew",
        "classes": "remove classes",
        "switch": "add classes",
    }
    return {kind: words[kind] for kind, asked in kinds.items() if asked}


def _example(kind: MaskKind) -> str:
    return "band 0.7, box 0.3" if kind in ("band", "box") else f"band 0.7, box 0, {kind} 0.3"


def removable(share: np.ndarray) -> np.ndarray:
    """Say from which pairs classes can be removed, bool `[N]`, by their shares `[N, classes]`."""
    total = share.sum(1)
    # nothing around them is nothing to paint over them with; sums are off by rounding
    return (total > 0) & (total < 1 - 1e-6)


def growable(share: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Say in which pairs classes can grow from `share` `[N, classes]` to `wanted`, bool `[N]`."""
    # a class that grows by less is invisible to the editor
    return np.all(share + ABSENT_BELOW <= wanted, axis=1)


def describe(edits: Edits) -> str:
    """Say in words what was asked for, empty for nothing."""
    parts = [
        f"{what} of {100 * lengths[0]:.3g} to {100 * lengths[1]:.3g} %"
        for what, lengths in (("bands", edits.bands), ("boxes", edits.boxes))
        if lengths
    ]
    if parts and edits.like == "removed":
        parts.append("with the palettes that were there")
    parts += [f"without {name}" for name in edits.remove]
    return ", ".join(
        [*parts, *(f"{name} grown to {share:.3g}" for name, share in edits.add.items())]
    )
