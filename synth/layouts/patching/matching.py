"""Fields: which place of which source each place of a new layout is like.

A field is int64 `[3, h, w]`: the number of a source, and how far down and to the right of the same
place of that source. Patches that overlap vote for what they show.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

VOTERS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
FAR = 3  # places
# Whose sources a place tries: its own and its neighbours', near and far (Ashikhmin, 2001).
TRIED = [*VOTERS, (0, FAR), (0, -FAR), (FAR, 0), (-FAR, 0)]


def exhaustive(query: Tensor, keys: Tensor, cost: Tensor, reach: int) -> Tensor:
    """Return the field of the nearest patches, up to `reach` rows above or below.

    Patches are `query` `[h, w, D]`, `keys` `[N, h, w, D]`; `cost` `[N, h, w]` is added to squared
    distances.
    """
    height, width, _ = query.shape
    squared = keys.square().sum(-1) + cost
    field = torch.empty(3, height, width, dtype=torch.int64)
    for row in range(height):
        rows = slice(max(0, row - reach), min(height, row + reach + 1))
        near = keys[:, rows].flatten(0, 2)
        apart = torch.addmm(squared[:, rows].reshape(1, -1), query[row], near.T, alpha=-2)
        found, there = apart.argmin(1), rows.stop - rows.start
        field[0, row] = found // (there * width)
        field[1, row] = found // width % there + rows.start - row
        field[2, row] = found % width - torch.arange(width)
    return field


def coherent(query: Tensor, keys: Tensor, cost: Tensor, field: Tensor, reach: int) -> Tensor:
    """Return the field of the nearest of those patches that neighbours' sources continue with.

    As `exhaustive`, at a hundredth of its cost, from the field of the step before.
    """
    _, height, width, depth = keys.shape
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    tried = torch.stack(
        [
            _place(source, _within(row, rows, reach), column, (height, width))
            for source, row, column in _continued(field, TRIED, FAR)
        ]
    )
    apart = (keys.view(-1, depth)[tried] - query).square().sum(-1) + cost.flatten()[tried]
    best = tried.gather(0, apart.argmin(0, keepdim=True))[0]
    return torch.stack(
        [best // (height * width), best // width % height - rows, best % width - columns]
    )


def votes(field: Tensor, values: Tensor) -> Tensor:
    """Return what the patches of a field show of `values` `[N, C, h, w]`, means `[1, C, h, w]`."""
    size = (values.shape[2], values.shape[3])
    shown = torch.stack([_place(*place, size) for place in _continued(field, VOTERS, 1)])
    planes = values.permute(0, 2, 3, 1).flatten(0, 2)
    return planes[shown].mean(0).permute(2, 0, 1)[None]


def doubled(field: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a field for the grid of half as large cells, which has `size` (rows, columns)."""
    fine = field.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, : size[0], : size[1]]
    return fine * torch.tensor([1, 2, 2])[:, None, None]


def _continued(
    field: Tensor, steps: Iterable[tuple[int, int]], far: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the source, row and column that each neighbour's source continues with here."""
    height, width = field.shape[1:]
    wide = F.pad(field[None].float(), (far,) * 4, mode="replicate")[0].long()
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    for down, right in steps:
        top, left = far + down, far + right
        source, below, beside = wide[:, top : top + height, left : left + width]
        yield source, below + rows, beside + columns


def _within(row: Tensor, rows: Tensor, reach: int) -> Tensor:
    return torch.minimum(torch.maximum(row, rows - reach), rows + reach)


def _place(source: Tensor, row: Tensor, column: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    return (source * height + row.clamp(0, height - 1)) * width + column.clamp(0, width - 1)
