"""Real layouts at grids from coarse to fine, and patches of them as short vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor

COARSEST = 8  # rows or columns; the coarsest grid has at least so many
# Sides of a patch, on the coarsest grid, on those between, on the finest.
PATCH = (3, 5, 5)
DIMENSIONS = 16  # numbers that are kept of a patch: its largest principal components
NUM_PATCHES, POWER_STEPS = 6000, 4  # that these are found from, and how closely
RAREST, POWER = (0.5, 4.0), 0.25  # smallest and largest weight of a class, and how it falls


def factors(size: tuple[int, int]) -> list[int]:
    """Return by how much each grid is coarser than `size` (height, width), coarsest first."""
    found = [1]
    while min(size) >= 2 * found[0] * COARSEST:
        found.insert(0, 2 * found[0])
    return found


def grid(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Return rows and columns of a grid; cells at the end are smaller where sides do not divide."""
    return -(-size[0] // factor), -(-size[1] // factor)


def fold(labels: Tensor, num_classes: int, factor: int) -> Tensor:
    """Return the shares of the classes in each cell of a grid, `[N, C, h, w]`.

    Labels are int64 `[N, H, W]`, below C all of them.
    """
    count, height, width = labels.shape
    if factor == 1:
        return F.one_hot(labels, num_classes).permute(0, 3, 1, 2).float()
    rows, columns = grid((height, width), factor)
    cells = torch.arange(height)[:, None] // factor * columns + torch.arange(width) // factor
    pixels = torch.bincount(cells.flatten()).view(rows, columns, 1)
    cells = cells + torch.arange(count)[:, None, None] * rows * columns
    places = (cells * num_classes + labels).flatten()
    counts = torch.bincount(places, minlength=count * rows * columns * num_classes)
    shares = counts.view(count, rows, columns, num_classes).float() / pixels
    return shares.permute(0, 3, 1, 2).contiguous()


def padded(planes: Tensor, side: int) -> Tensor:
    """Repeat the borders of `[N, C, h, w]`, so that each place has a patch of `side`."""
    return F.pad(planes, (side // 2,) * 4, mode="replicate")


def weights(shares: Tensor) -> Tensor:
    """Return what a class counts when patches are compared, `[C]`: rare ones more."""
    present = shares > 0
    rarity = shares[present].mean() / shares.clamp_min(1e-6)
    return rarity.pow(POWER).clamp(*RAREST)


def bases(labels: Tensor, weight: Tensor) -> dict[int, Tensor]:
    """Return the principal components of patches at each grid, as filters `[D, C, p, p]`.

    Labels are int64 `[N, H, W]`, `weight` `[C]` that of each class, which the filters contain.
    """
    found, rng = {}, torch.Generator().manual_seed(0)
    for factor in (sizes := factors((labels.shape[1], labels.shape[2]))):
        side = PATCH[0] if factor == sizes[0] else PATCH[2] if factor == 1 else PATCH[1]
        each = -(-NUM_PATCHES // len(labels))
        some = [_patches(label, weight, (factor, side, each), rng) for label in labels]
        filters = _components(torch.cat(some), rng).T.reshape(-1, len(weight), side, side)
        found[factor] = (filters * weight[:, None, None]).contiguous()
    return found


def _patches(
    label: Tensor, weight: Tensor, what: tuple[int, int, int], rng: torch.Generator
) -> Tensor:
    """Return weighted patches `[n, C * side * side]` of a label, from random places of a grid."""
    factor, side, count = what
    planes = padded(fold(label[None], len(weight), factor) * weight[:, None, None], side)[0]
    windows = planes.unfold(1, side, 1).unfold(2, side, 1)
    places = torch.randint(windows.shape[1] * windows.shape[2], (count,), generator=rng)
    rows, columns = places // windows.shape[2], places % windows.shape[2]
    return windows[:, rows, columns].transpose(0, 1).flatten(1)


def _components(patches: Tensor, rng: torch.Generator) -> Tensor:
    """Return an orthonormal basis `[n, D]` of the largest principal components of `[N, n]`."""
    centred = patches - patches.mean(0)
    basis = torch.randn(
        patches.shape[1], min(DIMENSIONS, patches.shape[1], len(patches)), generator=rng
    )
    for _ in range(POWER_STEPS):
        basis, _ = torch.linalg.qr(centred.T @ (centred @ basis))
    return basis


def described(planes: Tensor, filters: Tensor) -> Tensor:
    """Describe the patch around each place of `[N, C, h, w]` by D numbers, `[N, h, w, D]`."""
    numbers = F.conv2d(padded(planes, filters.shape[-1]), filters)
    return numbers.permute(0, 2, 3, 1).contiguous()
