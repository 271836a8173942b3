"""Draw shapes into a label map: pixels as COCO's own code draws them, whatever their size.

Outlines are rasterised by pycocotools and unrolled in the columns around them, so that time and
memory follow the object and not the picture. What could make a hostile file cost more than its
picture (a coordinate of 1e9, a run of 2^31, a size of its own) is refused or cut before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from data.sources.annotations.shapes import Patch, Points, Rings, Runs, Shape, Stroke
from data.stage.errors import UserError

MAX_PERIMETER = 4_000_000
"""Pixels that one outline may be long: pycocotools takes 100 bytes for each."""

CIRCLE = 90
_NEXT, _SIGN, _BITS = 0x20, 0x10, 0x1F


@dataclass(frozen=True)
class Piece:
    """The pixels of a shape, bool [h, w], at (left, top) of the picture.

    `outside` says that some of it lies out of the picture, and was cut.
    """

    mask: np.ndarray
    left: int
    top: int
    outside: bool = False

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def pieces(shape: Shape, size: tuple[int, int], line_width: int) -> Piece:
    """Return the pixels of a shape in a picture of size (width, height), all parts as one."""
    found = [_piece(part, size, line_width) for part in shape.parts]
    if len(found) == 1:
        return found[0]
    left, top = min(p.left for p in found), min(p.top for p in found)
    right = max(p.left + p.mask.shape[1] for p in found)
    bottom = max(p.top + p.mask.shape[0] for p in found)
    mask = np.zeros((bottom - top, right - left), bool)
    for piece in found:
        rows, columns = piece.place
        mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] |= (
            piece.mask
        )
    return Piece(mask, left, top, any(p.outside for p in found))


def scaled(shape: Shape, size: tuple[int, int]) -> Shape:
    """Return a shape of outlines in fractions of a picture in pixels."""
    parts = []
    for part in shape.parts:
        assert isinstance(part, Rings)
        rings = (tuple((x * size[0], y * size[1]) for x, y in ring) for ring in part.rings)
        parts.append(Rings(tuple(rings), part.holes))
    return replace(shape, parts=tuple(parts))


def _piece(part: Rings | Runs | Patch | Stroke, size: tuple[int, int], line_width: int) -> Piece:
    if isinstance(part, Rings):
        return _filled(part, size)
    if isinstance(part, Stroke):
        return _stroked(part.points, size, line_width)
    if isinstance(part, Runs):
        return _cropped(_unrolled(part, size))
    return _placed(part.read(size), part.left, part.top, size)


def _filled(part: Rings, size: tuple[int, int]) -> Piece:
    width, height = size
    rings = [_near(np.asarray(ring, float).reshape(-1, 2), size) for ring in part.rings]
    rings = [ring for ring in rings if len(ring)]
    if not rings:
        far = any(len(ring) >= 3 for ring in part.rings)
        return Piece(np.zeros((0, 0), bool), 0, 0, outside=far)
    every = np.concatenate(rings)
    low, high = np.floor(every.min(axis=0)).astype(int), np.ceil(every.max(axis=0)).astype(int) + 1
    left, top = max(0, min(int(low[0]), width)), max(0, min(int(low[1]), height))
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    # a rounded half pixel beyond the edge is how tools write an outline that ends there
    reach = every.min() < -1 or (every.max(axis=0) > np.array(size) + 1).any()
    if right <= left or bottom <= top:
        return Piece(np.zeros((0, 0), bool), 0, 0, outside=True)
    box = np.zeros((bottom - top, right - left), bool)
    for ring in rings:
        flat: Any = [ring.ravel().tolist()]  # its types leave lists of lists out
        packed = coco.frPyObjects(flat, height, width)[0]["counts"].decode("ascii")
        drawn = _columns(lengths(packed), height, left, right)[top:bottom]
        if part.holes:
            box ^= drawn
        else:
            box |= drawn
    return Piece(box, left, top, bool(reach))


def _columns(counts: Sequence[int], height: int, left: int, right: int) -> np.ndarray:
    """Return some columns of runs, bool [height, right - left]; the others cost nothing."""
    ends = np.cumsum(counts).clip(left * height, right * height) - left * height
    values = np.repeat(np.arange(len(counts)) % 2 == 1, np.diff(ends, prepend=0))
    return values.reshape(right - left, height).T


def _near(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an outline without what lies more than a picture's size out of the picture.

    That changes no pixel: what is cut off is replaced by straight lines out there.
    """
    if len(ring) < 3:
        return ring[:0]
    for axis in (0, 1):
        for side, bound in ((1, 2 * size[axis]), (-1, -size[axis])):
            if (side * ring[:, axis]).max(initial=-np.inf) > side * bound:
                ring = _cut(ring, axis, side, bound)
    edges = np.abs(np.diff(ring, axis=0, append=ring[:1]))
    if edges.sum() > MAX_PERIMETER:
        raise UserError(
            f"an outline of {len(ring)} points winds for {edges.sum():.0f} pixels; none is longer "
            f"than {MAX_PERIMETER}: draw it anew"
        )
    return ring if len(ring) >= 3 else ring[:0]


def _cut(ring: np.ndarray, axis: int, side: int, bound: float) -> np.ndarray:
    """Cut an outline at a line (Sutherland and Hodgman 1974)."""
    inside = side * ring[:, axis] <= side * bound
    after, after_inside = np.roll(ring, -1, axis=0), np.roll(inside, -1)
    span = after[:, axis] - ring[:, axis]
    along = (bound - ring[:, axis]) / np.where(span == 0, 1, span)
    crossing = ring + along[:, None] * (after - ring)
    crossing[:, axis] = bound
    kept = np.stack([inside, inside != after_inside], 1)
    return np.stack([ring, crossing], 1)[kept]


def _stroked(points: Points, size: tuple[int, int], width: int) -> Piece:
    every = np.asarray(points, float).reshape(-1, 2)
    outside = every.min() < -1 or (every.max(axis=0) > np.array(size) + 1).any()
    # Pillow draws lines of any length in the time of the picture, of coordinates that fit 32 bits
    every = every.clip(-10 * max(size), 10 * max(size))
    low = np.floor(every.min(axis=0)).astype(int) - width
    high = np.ceil(every.max(axis=0)).astype(int) + width + 1
    left, top = (max(0, min(int(low[i]), size[i])) for i in (0, 1))
    right, bottom = (min(size[i], int(high[i])) for i in (0, 1))
    if right <= left or bottom <= top:
        return Piece(np.zeros((0, 0), bool), 0, 0, outside=True)
    picture = Image.new("L", (right - left, bottom - top))
    draw = ImageDraw.Draw(picture)
    # a point (x, y) lies in the pixel of its whole part
    moved = [(x - left - 0.5, y - top - 0.5) for x, y in every.tolist()]
    if len(moved) > 1:
        draw.line(moved, fill=1, width=width, joint="curve")
    for x, y in moved:
        radius = (width - 1) / 2
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1)
    return Piece(np.asarray(picture).astype(bool), left, top, bool(outside))


def _placed(mask: np.ndarray, left: int, top: int, size: tuple[int, int]) -> Piece:
    rows = slice(max(0, -top), max(0, min(mask.shape[0], size[1] - top)))
    columns = slice(max(0, -left), max(0, min(mask.shape[1], size[0] - left)))
    kept = mask[rows, columns]
    return Piece(kept, max(0, left), max(0, top), outside=kept.shape != mask.shape)


def _cropped(mask: np.ndarray) -> Piece:
    """Return a mask of a whole picture without the empty rows and columns around."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Piece(mask[:0, :0], 0, 0)
    top, left = int(rows[0]), int(columns[0])
    return Piece(mask[top : rows[-1] + 1, left : columns[-1] + 1].copy(), left, top)


def _unrolled(part: Runs, size: tuple[int, int]) -> np.ndarray:
    if part.size != size:
        raise UserError(
            f"a run-length mask is of {part.size[0]}x{part.size[1]} pixels, its image of "
            f"{size[0]}x{size[1]}"
        )
    counts = lengths(part.counts) if isinstance(part.counts, str) else list(part.counts)
    # pycocotools leaves memory as it found it behind runs that are too short
    return unrolled(counts, size[0] * size[1]).reshape(size).T


def unrolled(counts: Sequence[int], total: int) -> np.ndarray:
    """Return bool `[total]` of runs, the first of them False; other sums are a `UserError`."""
    if any(type(count) is not int or count < 0 for count in counts) or sum(counts) != total:
        raise UserError(
            f"a run-length mask is broken: its {len(counts)} runs are not {total} pixels long"
        )
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def lengths(text: str) -> list[int]:
    """Return the run lengths of COCO's text: 5 bits a character, lowest first, the sixth for more.

    From the fourth on a number is the difference to the run before the last.
    """
    found: list[int] = []
    value = shift = 0
    for code in text.encode("latin-1", "replace"):
        bits = code - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UserError("a run-length mask is broken: it has characters that COCO has not")
        value |= (bits & _BITS) << shift
        shift += 5
        if bits & _NEXT:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        found.append(value + (found[-2] if len(found) > 2 else 0))
        value = shift = 0
    return found


def ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0) -> Points:
    """Return the outline of an ellipse, turned clockwise as pictures lie."""
    turn = np.linspace(0, 2 * np.pi, CIRCLE, endpoint=False)
    return turned(
        [(radii[0] * np.cos(t) + center[0], radii[1] * np.sin(t) + center[1]) for t in turn],
        center,
        degrees,
    )


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """Return the corners of a rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def turned(points: Points, around: tuple[float, float], degrees: float) -> Points:
    """Return points turned clockwise, as pictures lie, around one."""
    if not degrees:
        return points
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return [
        (
            float(around[0] + cosine * (x - around[0]) - sine * (y - around[1])),
            float(around[1] + sine * (x - around[0]) + cosine * (y - around[1])),
        )
        for x, y in points
    ]
