"""Edits of real layouts that a set asks for: classes taken out, or grown up to a share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from data.pairs.classes import ClassTable
from data.stage.errors import UserError
from data.stage.params import Params
from synth.layouts.common.activation import ABSENT_BELOW
from synth.layouts.common.editing import Editing, with_palette, without_classes
from synth.layouts.common.masks import MaskKind
from synth.training.method import Drawn, randn


class Edits(Params):
    """Key `edits` of a set whose layouts edit real ones: one of `remove` and `add`.

    `remove` names classes that are painted over with what surrounds them. `add` gives classes the
    share they grow to, 0 to 1 of the image; they displace what is there, and stay where they are.
    """

    remove: tuple[str, ...] = ()
    add: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_both(self) -> "Edits":
        if self.remove and self.add:
            raise ValueError("edits either remove or add classes; make two sets of it")
        wrong = [f"{name}: {share:g}" for name, share in self.add.items() if not 0 < share < 1]
        if wrong or sum(self.add.values()) >= 1:
            asked = ", ".join(wrong) or "all together"
            raise ValueError(f"add {asked}: fractions must be above 0 and, together, below 1")
        return self


@dataclass(frozen=True)
class Editor:
    """Edits as arrays: `classes` bool `[C]` to remove, `palette` `[C]` to grow to, 0 for none.

    `rows` are the real pairs that can be edited so.
    """

    classes: Tensor
    palette: Tensor
    rows: np.ndarray

    def draw(
        self,
        method: Editing,
        nets: nn.ModuleDict,
        *,
        real: Tensor,
        rngs: Sequence[torch.Generator],
    ) -> Drawn:
        """Edit real labels `[B, H, W]`, one generator each."""
        z, count = randn(rngs, (method.config.latent,)), len(real)
        if self.classes.any():
            classes = self.classes.to(real.device).expand(count, -1)
            return without_classes(method, nets, real=real, classes=classes, z=z)
        palette = self.palette.to(real.device).expand(count, -1)
        return with_palette(method, nets, real=real, palette=palette, z=z)


def editor(
    edits: Edits, classes: ClassTable, masks: Mapping[MaskKind, float], palettes: np.ndarray
) -> Editor:
    """Check edits against a class table, an editor's training and real palettes `[N, C]`.

    `masks` are the shares of the edits that the editor was trained with. Raises `UserError` for an
    unknown class, for an editor that was not trained for such edits, and where no real pair can be
    edited so.
    """
    kind, key = ("classes", "remove") if edits.remove else ("switch", "add")
    if not masks.get(kind, 0):
        raise UserError(
            f"the set's edits {key} classes, but its layouts were trained without; set their "
            f"`masks.{kind}` above 0 (for example 0.3, and band 0.7)"
        )
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
    return Editor(removed, grown, np.flatnonzero(fits))


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
    parts = [f"without {name}" for name in edits.remove]
    return ", ".join(
        [*parts, *(f"{name} grown to {share:.3g}" for name, share in edits.add.items())]
    )
