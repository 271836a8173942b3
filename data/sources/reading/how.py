"""How files of pictures are read: which page and window, by which levels, how many pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class How:
    """The page of a stack, counted from 0, None for files of one picture.

    `levels` are the values of pictures of more than 8 bits that become 0 and 255, None for the
    full range of 16 bits. `is_large` lets pictures be as large as those that are cut into tiles.
    `window` is the part that is read of a file that can be read so, None for all.
    """

    page: int | None = None
    levels: tuple[float, float] | None = None
    is_large: bool = False
    window: Box | None = None


_HOW: ContextVar[How] = ContextVar("how")
PLAIN = How()


def how() -> How:
    """Return how files are read here."""
    return _HOW.get(PLAIN)


@contextmanager
def reading(way: How) -> Iterator[None]:
    """Read files so inside the block."""
    token = _HOW.set(way)
    try:
        yield
    finally:
        _HOW.reset(token)
