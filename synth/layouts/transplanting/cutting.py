"""Objects of label maps: connected components, measured, and cut out with what they enclose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data.pairs.pairset import PairSet
from data.stage.progress import progress

EIGHT = np.ones((3, 3), bool)  # pixels that touch at a corner belong together
FOOT = 0.25  # of the height of an object: what lies below that much of it carries it
MARGIN = 1  # pixels around what is cut out, empty, so that an edge can become soft


@dataclass(frozen=True)
class Measured:
    """The components of all label maps of a set, a column each, N of them.

    `row` is the pair, `kind` the class; `top`, `left`, `height` and `width` the box in pixels,
    `start` the column of a pixel in its first row. `area` is the fraction of the image, of its own
    pixels. `borders` counts the sides of the image that it touches. `outline` and `below`
    `[N, C + 1]` count the pixels of each class around it and under its foot (0 where it touches a
    border); the last column is for pixels without a class. `size` is that of the label maps.
    """

    size: tuple[int, int]
    row: np.ndarray
    kind: np.ndarray
    top: np.ndarray
    left: np.ndarray
    height: np.ndarray
    width: np.ndarray
    start: np.ndarray
    area: np.ndarray
    borders: np.ndarray
    outline: np.ndarray
    below: np.ndarray

    def __len__(self) -> int:
        """Return the number of components."""
        return len(self.row)

    def bottoms(self) -> np.ndarray:
        """Return where they end, as fraction of the height of the image, `[N]`."""
        return (self.top + self.height) / self.size[0]

    def tops(self) -> np.ndarray:
        """Return where they begin, as fraction of the height of the image, `[N]`."""
        return self.top / self.size[0]


def measure(pairs: PairSet, smallest: float) -> Measured:
    """Measure all components of a set that fill at least a fraction `smallest` of their image."""
    num_classes = pairs.classes.num_classes
    found: list[tuple[int, ...]] = []
    areas, outlines, below = [], [], []
    with progress(len(pairs), "measuring objects", "pairs") as advance:
        for row in range(len(pairs)):
            (label,) = pairs.labels([row])
            for kind, box, mask in components(label, int(np.ceil(smallest * label.size))):
                rows, columns = box
                start = int(mask[0].argmax())
                borders = (rows.start == 0) + (rows.stop == label.shape[0])
                borders += (columns.start == 0) + (columns.stop == label.shape[1])
                size = (rows.stop - rows.start, columns.stop - columns.start)
                found.append((row, kind, rows.start, columns.start, *size, start, borders))
                areas.append(mask.sum() / label.size)
                around = _around(label, box, mask, num_classes) if not borders else (0, 0)
                outlines.append(np.broadcast_to(around[0], num_classes + 1))
                below.append(np.broadcast_to(around[1], num_classes + 1))
            advance()
    columns = np.array(found, np.int64).reshape(-1, 8).T  # one for each field
    row, kind, top, left, height, width, start, borders = columns
    tables = [np.array(table, np.int64).reshape(-1, num_classes + 1) for table in (outlines, below)]
    return Measured(
        pairs.size,
        *(row, kind, top, left, height, width, start),
        np.array(areas),
        borders,
        *tables,
    )


def components(
    label: np.ndarray, smallest: int
) -> Iterator[tuple[int, tuple[slice, slice], np.ndarray]]:
    """Yield class, box and mask (bool, of the box) of all components of so many pixels."""
    for kind in np.unique(label).tolist():
        numbered, count = _numbered(label == kind)
        sizes = np.bincount(numbered.ravel(), minlength=count + 1)
        for number, box in enumerate(ndimage.find_objects(numbered), 1):
            if sizes[number] >= smallest and kind < 255:
                yield kind, box, numbered[box] == number


def cut(
    image: np.ndarray, label: np.ndarray, measured: Measured, index: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Cut a component out of its pair, with all that it encloses.

    Returns colours times alpha and alpha, uint8 `[h, w, 4]`, with an empty margin of `MARGIN`; its
    labels uint8 `[h, w]`, its own class outside; and the mean light around it, 0 to 255.
    """
    top, left = int(measured.top[index]), int(measured.left[index])
    height, width = int(measured.height[index]), int(measured.width[index])
    kind, box = int(measured.kind[index]), (slice(top, top + height), slice(left, left + width))
    numbered, _ = _numbered(label[box] == kind)
    mask = _filled(numbered == numbered[0, int(measured.start[index])])
    pixels = np.dstack([image[box] * mask[..., None], mask * np.uint8(255)])
    inside = np.where(mask, label[box], np.uint8(kind))
    light = light_around(image, (top, left, top + height, left + width), ~mask)
    margins = ((MARGIN, MARGIN), (MARGIN, MARGIN))
    return (
        np.pad(pixels, (*margins, (0, 0))),
        np.pad(inside, margins, constant_values=kind),
        light,
    )


def light_around(image: np.ndarray, box: Sequence[int], outside: np.ndarray | None = None) -> float:
    """Return the mean grey of the box (top, left, bottom, right) and a quarter more on each side.

    Of the box itself only the pixels count that are `outside` of what fills it, by default all.
    """
    top, left, bottom, right = box
    more_rows, more_columns = 1 + (bottom - top) // 4, 1 + (right - left) // 4
    upper, first = max(0, top - more_rows), max(0, left - more_columns)
    part = image[upper : bottom + more_rows, first : right + more_columns]
    if outside is None:
        return float(part.mean())
    counted = np.ones(part.shape[:2], bool)
    counted[top - upper : bottom - upper, left - first : right - first] = outside
    return float(part[counted].mean())


def _numbered(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the components of a mask from 1 on; returns the numbers, 0 outside, and how many."""
    numbered = np.zeros(mask.shape, np.int32)
    count = ndimage.label(mask, EIGHT, output=numbered)
    return numbered, int(count)  # pyright: ignore[reportArgumentType]  # with `output`, a number


def _filled(mask: np.ndarray) -> np.ndarray:
    """Return a mask without its holes."""
    return np.asarray(ndimage.binary_fill_holes(mask), bool)


def _around(
    label: np.ndarray, box: tuple[slice, slice], mask: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count classes around a component that touches no border, and under its foot."""
    rows, columns = box
    part = label[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1]
    part = np.minimum(part, num_classes)
    filled = np.pad(_filled(mask), 1)
    ring = ndimage.binary_dilation(filled, EIGHT) & ~filled
    under = np.zeros_like(ring)
    under[1:] = filled[:-1] & ~filled[1:]
    under[: -max(1, round(FOOT * len(mask))) - 1] = False
    return (
        np.bincount(part[ring], minlength=num_classes + 1),
        np.bincount(part[under], minlength=num_classes + 1),
    )
