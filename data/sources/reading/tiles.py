"""From pictures to pairs: tiles of large ones, pages of stacks, and one range of levels for all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from data.pairs.spread import TRAIN
from data.sources.decode import count_pages, read_deep, read_size, window_rows
from data.sources.files import RawPair
from data.sources.reading import windows
from data.sources.reading.how import reading
from data.sources.reading.pixels import bands
from data.stage.errors import UserError, some
from data.stage.params import Params
from data.stage.progress import progress

Levels = tuple[float, float] | Literal["percentiles"]
PERCENTILES = (0.5, 99.5)
BINS = 2**16


class Tile(Params):
    """Size of the tiles that pictures are cut into, and from corner to corner, in their pixels.

    The last tile of a row or column ends where the picture does.
    """

    height: int = Field(ge=16, le=4096)
    width: int = Field(ge=16, le=4096)
    stride: int = Field(ge=1, le=4096)


def paged(raw: Sequence[RawPair]) -> list[RawPair]:
    """Return the pairs with those of two stacks, of images and masks, page by page.

    The stack is their group, unless they have one. Other numbers of pages are a `UserError`.
    """
    found = []
    for pair in raw:
        with reading(pair.how):
            pages = count_pages(pair.image), count_pages(pair.label)
        if min(pages) > 1 and pages[0] != pages[1]:
            raise UserError(
                f"{pair.image} has {pages[0]} pages, its label {pair.label} {pages[1]}; a stack "
                "of images needs as many pages of masks"
            )
        if min(pages) == 1:
            found.append(pair)
            continue
        for page in range(pages[0]):
            way, group = replace(pair.how, page=page), pair.group or pair.id
            found.append(replace(pair, id=f"{pair.id}-{page:04d}", how=way, group=group))
    return found


def enlarged(raw: Sequence[RawPair]) -> list[RawPair]:
    """Return pairs that are cut into tiles later: large pictures, each of which is a group."""
    return [
        replace(pair, how=replace(pair.how, is_large=True), group=pair.group or pair.id)
        for pair in raw
    ]


def tiled(raw: Sequence[RawPair], tile: Tile) -> list[RawPair]:
    """Return a pair for every tile of every picture; one that is smaller is a `UserError`."""
    found, small = [], []
    for pair in raw:
        with reading(pair.how):
            width, height = read_size(pair.image)
        if width < tile.width or height < tile.height:
            small.append(f"{pair.image} ({width}x{height})")
            continue
        for top in _starts(height, tile.height, tile.stride):
            for left in _starts(width, tile.width, tile.stride):
                box = left, top, left + tile.width, top + tile.height
                found.append(replace(pair, id=f"{pair.id}-y{top:05d}-x{left:05d}", box=box))
    if small:
        raise UserError(
            f"{len(small)} of {len(raw)} images are smaller than a tile of "
            f"{tile.width}x{tile.height}: {some(small)}; make dataset.tile smaller, or "
            "take them out"
        )
    return found


def by_window(pair: RawPair) -> int | None:
    """Return how many rows of a pair are decoded at once, None where it is read whole.

    Only large pictures are read by window, and only if their label can be, at the same size.
    """
    if not pair.how.is_large or pair.parts or pair.aspect is not None:
        return None
    with reading(pair.how):
        rows = window_rows(pair.image), window_rows(pair.label)
        if rows[0] is None or rows[1] is None or read_size(pair.image) != read_size(pair.label):
            return None
    return max(rows[0], rows[1])


def in_bands(pair: RawPair) -> list[RawPair]:
    """Return a pair as it is, or once for every band of rows where it is read by window."""
    segment = by_window(pair)
    if segment is None:
        return [pair]
    with reading(pair.how):
        size = read_size(pair.image)
    return [
        replace(pair, how=replace(pair.how, window=box)) for box in windows.bands(size, segment)
    ]


def levelled(raw: Sequence[RawPair], levels: Levels) -> list[RawPair]:
    """Return the pairs to be read by the same levels, those given or those of the training pairs.

    Percentiles are those of `PERCENTILES` over all pixels of all training images of more than 8
    bits, from a histogram of `BINS` bins between their extremes; NaN and infinity do not count.
    """
    if levels == "percentiles":
        levels = _percentiles([pair for pair in raw if pair.split == TRAIN])
    if not (levels[0] < levels[1] and np.isfinite(levels).all()):
        raise UserError(
            f"dataset.levels goes from {levels[0]:g} to {levels[1]:g}; write two numbers, the "
            "lower first"
        )
    return [replace(pair, how=replace(pair.how, levels=levels)) for pair in raw]


def said(levels: tuple[float, float]) -> str:
    """Return levels as words for a manifest."""
    return f"{levels[0]:.9g} to {levels[1]:.9g}"


def _starts(length: int, side: int, stride: int) -> list[int]:
    return sorted({*range(0, length - side + 1, stride), length - side})


def _percentiles(train: Sequence[RawPair]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for values in _finite(train, "extremes of levels"):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low < high:
        raise UserError(
            "dataset.levels is percentiles, and no training image has more than 8 bits and more "
            "than one value; leave it out"
        )
    counts = np.zeros(BINS, np.int64)
    for values in _finite(train, "percentiles of levels"):
        place = (values.astype(np.float64) - low) * ((BINS - 1) / (high - low))
        counts += np.bincount(np.rint(place).astype(np.int64), minlength=BINS)
    share = np.cumsum(counts) / counts.sum()
    found = [
        low + float(np.searchsorted(share, p / 100)) * (high - low) / (BINS - 1)
        for p in PERCENTILES
    ]
    return found[0], found[1]


def _finite(train: Sequence[RawPair], label: str) -> Iterator[np.ndarray]:
    """Yield the finite values of deep images, band by band."""
    with progress(len(train), label, "images") as advance:
        for pair in train:
            for one in in_bands(pair):
                with reading(one.how):
                    values = read_deep(one.image)
                for rows in [] if values is None else bands(values):
                    part = np.asarray(values)[rows]
                    part = part[np.isfinite(part)]
                    if part.size:
                        yield part
            advance()
