"""The coarse-to-fine generator that SPADE-like painters share, and the sizes it can paint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.stage.errors import UserError
from synth.nets.layers import Condition, ModulatedBlock, Spade, activate, conv, linear


@dataclass(frozen=True)
class Stage:
    """One residual block of the pyramid; `doubles` says that its input is doubled first."""

    in_channels: int
    out_channels: int
    doubles: bool


def oasis_stages(num_doublings: int, *, width: int, max_channels: int) -> tuple[Stage, ...]:
    """Return OASIS's stages: one block at the base grid and one after each doubling.

    The last block has `width` channels; towards the base grid they double up to 16 times that, or
    to `max_channels`. Five doublings with width 64 are the paper's 1024, 1024, 512, 256, 128, 64.
    """
    outs = [
        min(width * min(16, 2 ** (num_doublings - index)), max_channels)
        for index in range(num_doublings + 1)
    ]
    ins = [outs[0], *outs[:-1]]
    return tuple(Stage(i, o, index > 0) for index, (i, o) in enumerate(zip(ins, outs, strict=True)))


def spade_stages(num_doublings: int, *, width: int, max_channels: int) -> tuple[Stage, ...]:
    """Return SPADE's stages: OASIS's with a second block after the first doubling.

    With six doublings ("more" in the released code) that block doubles too: OASIS's list again.
    """
    stages = oasis_stages(num_doublings, width=width, max_channels=max_channels)
    if num_doublings >= 6:
        return stages
    again = stages[1].out_channels
    return (*stages[:2], Stage(again, again, False), *stages[2:])


Block = Callable[[Stage], nn.Module]
"""Makes the block of a stage, called as block(x, condition)."""


def spade_block(condition_channels: int, hidden: int) -> Block:
    """Return what makes a block whose norms are SPADE's."""

    def modulation(channels: int) -> nn.Module:
        return Spade(channels, condition_channels, hidden)

    return lambda stage: ModulatedBlock(stage.in_channels, stage.out_channels, modulation)


def layout_seed(condition_channels: int, stages: Sequence[Stage]) -> nn.Module:
    """Return a seed that is a convolution on the condition at the base grid."""
    return conv(condition_channels, stages[0].in_channels, 3)


def code_seed(latent: int, stages: Sequence[Stage], size: tuple[int, int]) -> nn.Module:
    """Return a seed that is a linear map of a code: it ties the weights to the size (H,W)."""
    factor = 2 ** sum(stage.doubles for stage in stages)
    grid = (size[0] // factor) * (size[1] // factor)
    return linear(latent, stages[0].in_channels * grid)


class Pyramid(nn.Module):
    """Paint a condition map: a seed at the base grid, stages, RGB, tanh.

    Every block sees the condition [B,K,H,W] at its own size. The base grid is size / 2 ** (number
    of doublings); any size with whole numbers there can be painted. The seed is a convolution on
    the condition, or a linear map of a code; without one features are given.
    """

    def __init__(self, seed: nn.Module | None, stages: tuple[Stage, ...], block: Block) -> None:
        super().__init__()
        self.doubles = tuple(stage.doubles for stage in stages)
        self.seed = seed
        self.blocks = nn.ModuleList(block(stage) for stage in stages)
        self.rgb = conv(stages[-1].out_channels, 3, 3)

    def forward(self, condition_map: Tensor, code: Tensor | None = None) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32; `code` [B,Z] is for a linear seed."""
        condition = Condition(condition_map)
        return self.paint(condition, self.sow(condition, condition_map.shape[-2:], code))

    def sow(self, condition: Condition, size: Sequence[int], code: Tensor | None = None) -> Tensor:
        """Return the features [B,K,h,w] at the base grid of a size (H,W)."""
        assert self.seed is not None, "features are given to `paint`"
        factor = 2 ** sum(self.doubles)
        base = (size[0] // factor, size[1] // factor)
        if code is None:
            return self.seed(condition.at(base))
        return self.seed(code).unflatten(1, (-1, *base))

    def paint(self, condition: Condition, x: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32, from features at the base grid."""
        for doubles, block in zip(self.doubles, self.blocks, strict=True):
            if doubles:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, condition)
        return torch.tanh(self.rgb(activate(x)).float())


def check_size(
    size: tuple[int, int],
    num_doublings: int,
    *,
    smallest: int = 1,
    fix: str = "lower its num_doublings",
) -> None:
    """Refuse a size (H,W) that does not halve often enough, naming the nearest good ones.

    `smallest` is the least height and width of the base grid, `fix` the other way out.
    """
    step = 2**num_doublings
    if all(side % step == 0 and side >= smallest * step for side in size):
        return
    below = [max(side // step, smallest) * step for side in size]
    above = [max(-(-side // step), smallest) * step for side in size]
    good = dict.fromkeys(f"{h}x{w}" for h, w in (below, above))
    least = "" if smallest == 1 else f", at least {smallest * step}"
    raise UserError(
        f"a painter with {num_doublings} doublings cannot paint {size[0]}x{size[1]}: both sides "
        f"must be multiples of {step}{least}; set dataset.height and dataset.width to "
        f"{' or '.join(good)}, or {fix}"
    )
