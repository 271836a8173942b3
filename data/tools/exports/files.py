"""What the folder formats share: encoded pairs in order, and the table of all pairs."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from data.pairs.schema import COLUMNS, SHARES
from data.stage.outputs import write_text
from data.tools.exports.union import Union

TABLE = """\
`pairs.csv` has a line for every pair: its split, the name of its files, its id and source, its
group (video, city or scene), the real pairs that it was made from (parent, style, donors), its
seed, and the sha256 of its image and label. Names differ from ids that are not safe file names."""

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Encoded:
    """A pair as it is stored: PNG bytes of image and label, and where the pair came from."""

    id: str
    source: str
    image: bytes
    label: bytes


def encoded(pairs: Union) -> Iterator[Encoded]:
    """Yield the pairs of a set in order; bytes are those of the shards, images always PNG."""
    named = zip(pairs.ids(), pairs.column("source"), strict=True)
    for row, (name, source) in enumerate(named):
        image, label = pairs.encoded(row, ("image", "label"))
        assert image is not None and label is not None
        yield Encoded(name, source, _png(image), label)


def write_table(out: Path, splits: Mapping[str, Union], names: Mapping[str, str]) -> None:
    """Write `pairs.csv`: for every pair its split, file name, and all plain columns of its set."""
    columns = [column.name for column in COLUMNS if not column.picture and column.type != SHARES]
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["split", "name", *columns])
    for split, pairs in splits.items():
        for row in zip(*(pairs.column(column) for column in columns), strict=True):
            table.writerow([split, names[row[0]], *map(_cell, row)])
    write_text(out / "pairs.csv", buffer.getvalue())


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(value)
    return "" if value is None else value


def _png(content: bytes) -> bytes:
    """Return an image of another format as PNG, without loss."""
    if content.startswith(PNG):
        return content
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.convert("RGB").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
