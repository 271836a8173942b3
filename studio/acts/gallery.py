"""A set as a gallery: its pairs, chosen by class, source and score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from data.pairs.pairset import PairSet
from data.stage.params import Params
from studio.acts.judge import agreement, reader
from studio.acts.keep import folder_of
from studio.shelf import Shelf
from studio.state import Share

PAGE = 60
SCORED = 16  # at once


class Filter(Params):
    """Which pairs of a set: of this source, with at least a share of a class, from a score on.

    Scores are the share of pixels that the segmenter `cell` reads as they are labelled.
    """

    set: str
    source: str | None = None
    name: str | None = None
    least: Share = 0.0
    cell: str | None = None
    score: Share = 0.0
    first: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Item:
    """A pair in a gallery."""

    row: int
    id: str
    source: str
    parent: str | None
    style: str | None
    donors: tuple[str, ...]
    score: float | None


def show(shelf: Shelf, wanted: Filter) -> tuple[list[Item], int, list[str]]:
    """Return a page of the pairs that pass, how many pass, and the sources that there are.

    With a segmenter only the pairs of the page are scored, and those below the score left out.
    """
    pairs = PairSet(folder_of(shelf.artifacts, wanted.set))
    sources = pairs.column("source")
    passes = np.array([wanted.source in (None, "", source) for source in sources], bool)
    if wanted.name:
        number = pairs.classes.index(wanted.name)
        shares = pairs.column("palette")[:, number]
        passes &= shares >= max(wanted.least, np.finfo(np.float32).tiny)
    rows = np.flatnonzero(passes)
    page = rows[wanted.first : wanted.first + PAGE]
    scores = _scores(shelf, wanted.cell, pairs, page) if wanted.cell else [None] * len(page)
    plain = {name: pairs.column(name) for name in ("id", "parent", "style", "donors")}
    items = [
        Item(
            int(row),
            plain["id"][row],
            sources[row],
            plain["parent"][row],
            plain["style"][row],
            tuple(plain["donors"][row] or ()),
            score,
        )
        for row, score in zip(page, scores, strict=True)
        if score is None or score >= wanted.score
    ]
    return items, len(rows), sorted(set(sources))


def _scores(shelf: Shelf, cell: str, pairs: PairSet, rows: np.ndarray) -> Sequence[float]:
    read, found = reader(shelf, cell), dict[int, float]()
    for part in np.split(rows, range(SCORED, len(rows), SCORED)):
        if len(part):
            labels, _ = read(pairs.images(part))
            for row, one, label in zip(part, labels, pairs.labels(part), strict=True):
                found[int(row)] = round(agreement(one, label), 4)
    return [found[int(row)] for row in rows]


def picture(artifacts: Path, name: str, row: int, what: str) -> tuple[bytes, PairSet]:
    """Return the stored bytes of a picture of a pair, and its set."""
    pairs = PairSet(folder_of(artifacts, name))
    if not 0 <= row < len(pairs):
        return b"", pairs
    (content,) = pairs.encoded(row, (what,))
    return content or b"", pairs
