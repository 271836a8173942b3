"""A thing that stands in a street, and is painted when its turn comes."""

from collections.abc import Callable
from dataclasses import dataclass

Draw = Callable[..., None]

# Thin and small things farther away would be specks that nobody annotates.
SEEN = 50.0


@dataclass(frozen=True)
class Thing:
    """Something to paint at a depth; `footprint` is (x, z, half width, half length, height)."""

    depth: float
    draw: Draw
    footprint: tuple[float, float, float, float, float] | None = None
