"""An edit as the editor and its critic see it at every grid."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from synth.layouts.common.activation import Activation, assisted_present
from synth.layouts.common.losses import soften
from synth.layouts.common.masks import Edit, merge
from synth.nets.layers import Condition

Keep = Literal["outside", "learnt"]


class Scene:
    """What is around a hole, what is asked for in it, and the noise, for one batch of edits.

    A grid sees the means of its cells, whichever grid is the finest, so that an edit looks the same
    while coarse grids are trained and when a pair is made. `keep` says where the editor's class
    "keep" has room: `outside` the hole and nowhere else, where a class can be put on no kept pixel;
    or everywhere, which the editor has to learn (`learnt`, as released). An edit without a hole
    leaves room everywhere. `z` is noise `[B, latent]`, `maps` noise `[B, 1, h, w]` of each grid, if
    any.
    """

    def __init__(
        self,
        edit: Edit,
        finest: tuple[int, int],
        *,
        keep: Keep,
        z: Tensor,
        maps: Sequence[Tensor] = (),
    ) -> None:
        self.share, self.z, self._maps = edit.share, z, maps
        known, hole = edit.known(finest), edit.hole(finest)
        self.condition = Condition(known + hole / known.shape[1], "area")
        with torch.autocast(known.device.type, enabled=False):  # the others stay in float32
            self._known, self._hole = Condition(known, "area"), Condition(hole, "area")
        self._open = ~edit.removed.flatten(1).any(1)[:, None, None, None]
        self._keep = keep

    def layout(self, size: Sequence[int]) -> Tensor:
        """Return the layout around the hole, `[B, C, h, w]`, 1/C where nothing is known."""
        known, left = self._known.at(size), 1 - self.hole(size)
        return torch.where(left > 0, known / left.clamp_min(1e-6), 1 / known.shape[1])

    def hole(self, size: Sequence[int]) -> Tensor:
        """Return which part of each cell was removed, `[B, 1, h, w]`."""
        return self._hole.at(size)

    def noise(self, size: Sequence[int]) -> Tensor:
        """Return the noise of a grid."""
        return next(part for part in self._maps if part.shape[2:] == torch.Size(size))

    def activate(self, logits: Tensor, share: Tensor) -> Activation:
        """Activate logits `[B, C + 1, h, w]`, each class where there is room for it."""
        if self._keep == "learnt":
            return assisted_present(logits, share)
        hole = self.hole(logits.shape[2:])
        room = torch.cat([hole.expand(-1, logits.shape[1] - 1, -1, -1), 1 - hole], 1)
        return assisted_present(logits, share, torch.where(self._open, 1.0, room))

    def merge(self, soft: Tensor) -> Tensor:
        """Give "keep" of `[B, C + 1, h, w]` to what is there, `[B, C, h, w]`."""
        return merge(soft, self.layout(soft.shape[2:]))

    def shown(self, soft: Tensor, real: Tensor, line: Tensor) -> Tensor:
        """Merge `[B, C + 1, h, w]` with real layouts for the critic, softened where they are kept.

        `real` `[B, C, h, w]` is one-hot, and `line` what it is blurred with where the critic sees
        it whole.
        """
        size = soft.shape[2:]
        around = torch.where(self.hole(size) > 0, self.layout(size), real)
        merged = merge(soft, around)
        return torch.lerp(merged, soften(merged, line=line), soft[:, -1:])
