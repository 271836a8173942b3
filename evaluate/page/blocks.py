"""What a report is made of: sections of texts, tables, figures and folds; two renderers show them.

Texts, captions and cells are CommonMark. A table cell holds inline text only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Text:
    """Paragraphs, lists or a fenced block."""

    markdown: str


@dataclass(frozen=True)
class Table:
    """A table; the first `num_text` columns are text, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_text: int = 1


@dataclass(frozen=True)
class Figure:
    """A figure file; `pixels` is true when it shows images or label maps of the dataset."""

    section: str
    file: str
    caption: str
    pixels: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Fold:
    """Blocks behind a line that a reader opens."""

    title: str
    blocks: Sequence["Block"]


Block: TypeAlias = Text | Table | Figure | Fold


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]


def figures_of(blocks: Sequence[Block]) -> Iterator[Figure]:
    """Yield all figures, those in folds too."""
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Fold):
            yield from figures_of(block.blocks)


def text(*sentences: str) -> list[Block]:
    """Return a paragraph of those sentences that are not empty, or nothing."""
    joined = " ".join(filter(None, sentences))
    return [Text(joined)] if joined else []


def bullets(lines: Sequence[str]) -> list[Block]:
    """Return a list of those lines that are not empty, or nothing."""
    kept = [f"* {line}" for line in lines if line]
    return [Text("\n".join(kept))] if kept else []


def without_empty(table: Table) -> Table:
    """Leave out columns of numbers that no row has a number in, and rows without any number."""
    first = table.num_text
    rows = [row for row in table.rows if any(row[first:])]
    kept = [
        column
        for column in range(len(table.header))
        if column < first or any(row[column] for row in rows)
    ]
    return Table(
        [table.header[column] for column in kept],
        [[row[column] for column in kept] for row in rows],
        first,
    )
