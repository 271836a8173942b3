"""The grids that a layout grows through, and how wide networks are on each."""

from dataclasses import dataclass

from data.stage.errors import UserError

SMALLEST, LARGEST = 3, 7  # rows (the shorter side) of the base grid


@dataclass(frozen=True)
class Levels:
    """The levels that networks grow through, coarsest first.

    `grids` (height, width) and `channels` of their features. A cell of a grid stands for a square
    of `cell` pixels of the layout, which its features describe all at once. `skip`: a level adds to
    the logits of the one before.
    """

    grids: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]
    cell: int = 1
    skip: bool = False

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Sizes (height, width) of the layouts."""
        return tuple((height * self.cell, width * self.cell) for height, width in self.grids)


def grids(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes of all levels, from the base grid to `size` (height, width).

    64x128 gives 4x8, 8x16, 16x32, 32x64, 64x128. Raises `UserError` naming good sizes nearby for
    a size whose sides cannot be halved down to 3 to 7 on the shorter side.
    """
    found = _halvings(size)
    if found is None:
        raise UserError(
            f"layouts of {size[0]}x{size[1]} cannot be grown: both sides must halve together until "
            f"the shorter is {SMALLEST} to {LARGEST}; sizes nearby that can: {_nearby(size)}"
        )
    return found


def _halvings(size: tuple[int, int]) -> list[tuple[int, int]] | None:
    levels = [size]
    while min(levels[0]) // 2 >= SMALLEST and not (levels[0][0] % 2 or levels[0][1] % 2):
        levels.insert(0, (levels[0][0] // 2, levels[0][1] // 2))
    return levels if SMALLEST <= min(levels[0]) <= LARGEST else None


def _nearby(size: tuple[int, int]) -> str:
    def distance(candidate: tuple[int, int]) -> int:
        return abs(candidate[0] - size[0]) + abs(candidate[1] - size[1])

    shorter, span = min(size), max(*size, 8)
    steps = [2**k for k in range(12) if SMALLEST * 2**k <= 2 * max(shorter, SMALLEST)]
    good = {
        (height, width)
        for step in steps
        for height in range(step * SMALLEST, size[0] + span + 1, step)
        for width in range(step * SMALLEST, size[1] + span + 1, step)
        if min(height, width) // step <= LARGEST and _halvings((height, width))
    }
    return ", ".join(f"{h}x{w}" for h, w in sorted(good, key=lambda c: (distance(c), c))[:3])


def channel_table(width: int, taper_from: int, num_levels: int) -> list[int]:
    """Return the feature channels per level: `width`, halved at `taper_from` and at every later.

    512 and 4 give the paper's 512, 512, 512, 512, 256, 128, 64, 32, 16.
    """
    return [max(4, width >> max(0, level - taper_from + 1)) for level in range(num_levels)]
