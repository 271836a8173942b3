"""What annotations say of an image: shapes with their class, and the file that says it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.sources.annotations.config import Config

Points = Sequence[tuple[float, float]]
"""Corners (x, y) in pixels from the top left corner of the picture, in order."""


@dataclass(frozen=True)
class Rings:
    """Closed outlines: what is inside one of them, or, with `holes`, inside an odd number."""

    rings: tuple[Points, ...]
    holes: bool = False


@dataclass(frozen=True)
class Runs:
    """Lengths of runs, column by column, the first of them background, of size (width, height).

    `counts` are the lengths, or COCO's text of them.
    """

    counts: Sequence[int] | str
    size: tuple[int, int]


@dataclass(frozen=True)
class Patch:
    """A mask, bool [h, w], whose top left pixel is at (left, top) of the picture.

    It is read when it is drawn, from the size (width, height) of the picture.
    """

    read: Callable[[tuple[int, int]], np.ndarray]
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Stroke:
    """A line through points, or a dot at a single one, of the width that the dataset asks for."""

    points: Points


@dataclass(frozen=True)
class Shape:
    """One object: what the annotation calls its class, its parts, and whether it is a crowd.

    Parts are drawn as one. A crowd is several objects in one outline, which lies below all others.
    """

    label: str
    parts: tuple[Rings | Runs | Patch | Stroke, ...]
    crowd: bool = False


@dataclass(frozen=True)
class Coded:
    """A mask that holds a number for every pixel, and what the annotation calls some of them.

    `read` returns integers [H, W]; numbers that have no label are an error, but for those of
    `unlabelled`.
    """

    read: Callable[[], np.ndarray]
    labels: Mapping[int, str] | None
    unlabelled: tuple[int, ...] = ()


@dataclass(frozen=True)
class Annotated:
    """What is said of one image: its name as written, by which file, and its shapes in order.

    Where no picture has that name, it may be one of `others`, or `stem` without its ending. `size`
    (width, height) is what the annotation takes the picture for, None where it does not say.
    `fractions` says that points are fractions of it. `picture` has the bytes of the image where
    these are in the annotation. `notes` are what of it is no shape: kind -> how often.
    """

    name: str
    file: Path
    size: tuple[int, int] | None = None
    shapes: Sequence[Shape] = ()
    coded: Coded | None = None
    fractions: bool = False
    others: tuple[str, ...] = ()
    stem: str | None = None
    picture: bytes | None = None
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What a format is read with: the files, the root, and the keys of the section it may need."""

    root: Path
    files: Sequence[Path]
    config: Config
