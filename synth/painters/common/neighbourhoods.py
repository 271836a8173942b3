"""The neighbourhoods of a layout: most pixels of a map of few regions look like many others.

Two 3x3 convolutions on a layout give a pixel what its 5x5 neighbourhood decides. Inside a region
that is one vector a class, along a straight edge a few; so they are computed once for each
neighbourhood that occurs, and given to its pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Where more than this share of the pixels has a 3x3 neighbourhood of its own, convolving is faster.
MOST_OWN = 0.5


@dataclass(frozen=True)
class Patterns:
    """The neighbourhoods that occur in some images of one size.

    `small` int64 `[S, 9]` are 3x3 neighbourhoods of rows of `vectors` `[R, K]`, whose last row is
    the outside of the image, 0; `inside` `[S]` says where the middle is not outside. `large`
    `[L, 9]` are 3x3 neighbourhoods of rows of `small`, and `where` `[P]` the row of `large` of
    each pixel, images and rows in order.
    """

    vectors: Tensor
    small: Tensor
    inside: Tensor
    large: Tensor
    where: Tensor


Level = Sequence[Patterns]


class Neighbourhoods:
    """Those of the layouts of a batch: `at(size)` has the patterns of every group of images."""

    def __init__(self, groups: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take groups of images: vectors `[R, K]` and, for each pixel, its row of them."""
        self._groups = groups
        self._levels: dict[tuple[int, int], Level | None] = {}

    def at(self, size: tuple[int, int]) -> Level | None:
        """Return the patterns at a size that divides that of the layouts, None for too many."""
        size = (int(size[0]), int(size[1]))
        if size not in self._levels:
            self._levels[size] = self._find(size)
        return self._levels[size]

    def _find(self, size: tuple[int, int]) -> Level | None:
        found = []
        for vectors, rows in self._groups:
            step = rows.shape[-1] // size[1]
            coarse = rows[:, ::step, ::step]  # nearest neighbour, as the convolutions see it
            patterns = _patterns(vectors, coarse)
            if len(patterns.small) > MOST_OWN * coarse.numel():
                return None
            found.append(patterns)
        return found


def find_neighbourhoods(condition: Tensor, num_classes: int) -> Neighbourhoods | None:
    """Find those of condition maps `[B, K, H, W]`, None where pixels share none.

    The last `num_classes` channels are the layout. Pixels share them when all of a class have the
    same K numbers, in the whole batch or, where noise joins the layout, in an image.
    """
    rows = condition[:, -num_classes:].argmax(1)
    shared = condition.shape[1] == num_classes
    groups = [slice(None)] if shared else [slice(i, i + 1) for i in range(len(condition))]
    found = []
    for group in groups:
        pixels = condition[group].permute(0, 2, 3, 1).flatten(0, 2)
        flat = rows[group].flatten()
        one = torch.zeros(num_classes, dtype=torch.long).scatter_(0, flat, torch.arange(len(flat)))
        vectors = pixels[one]
        if not torch.equal(vectors[flat], pixels):
            return None
        found.append((torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])]), rows[group]))
    return Neighbourhoods(found)


def _patterns(vectors: Tensor, rows: Tensor) -> Patterns:
    outside = len(vectors) - 1
    neighbours = _neighbours(F.pad(rows, (2, 2, 2, 2), value=outside))
    where, first = _distinct(_joined(neighbours, len(vectors)))
    small = torch.stack([each.flatten()[first] for each in neighbours], 1)
    neighbours = _neighbours(where)
    corners = [neighbours[position] for position in (0, 2, 6, 8)]  # decide the 5x5 pixels
    where, first = _distinct(_joined(corners, len(small)))
    large = torch.stack([each.flatten()[first] for each in neighbours], 1)
    return Patterns(vectors, small, small[:, 4] != outside, large, where.flatten())


def _neighbours(rows: Tensor) -> list[Tensor]:
    """Return the nine neighbours `[B, h - 2, w - 2]` of the inner pixels of `[B, h, w]`."""
    height, width = rows.shape[1] - 2, rows.shape[2] - 2
    return [rows[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]


def _joined(maps: list[Tensor], base: int) -> Tensor:
    """Make one number of several below `base`, different ones of different ones."""
    if base ** len(maps) >= 2**63:
        half = len(maps) // 2
        halves = [_distinct(_joined(part, base)) for part in (maps[:half], maps[half:])]
        maps, base = [where for where, _ in halves], max(len(first) for _, first in halves)
    code = maps[0]
    for each in maps[1:]:
        code = code * base + each
    return code


def _distinct(code: Tensor) -> tuple[Tensor, Tensor]:
    """Number the values of `code`: its map of numbers, and a place where each number occurs."""
    # runs first: the sort then has a seventh of the pixels
    runs, run = torch.unique_consecutive(code.flatten(), return_inverse=True)
    values, value = torch.unique(runs, return_inverse=True)
    where = value[run]
    places = torch.arange(len(where))
    first = torch.empty(len(values), dtype=torch.long).scatter_(0, where, places)
    return where.view(code.shape), first
