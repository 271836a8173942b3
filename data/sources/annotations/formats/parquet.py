"""Parquet as Hugging Face writes it: a column of images, a column of masks of one number a pixel.

Classes are called by those numbers (`labels: ["0"]`). Pictures get the path FILE/ROW, so that
`split: glob` can tell files apart: `{train: "train-*/*", val: "validation-*/*"}`.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data.sources.annotations.parsing import AGAIN
from data.sources.annotations.shapes import Annotated, Coded, Given
from data.sources.decode import FORMATS, read_values
from data.stage.errors import UserError

ROWS = 8


def total(given: Given) -> int:
    """Return how many rows the files have."""
    return sum(_opened(path).metadata.num_rows for path in given.files)


def read(given: Given) -> Iterator[Annotated]:
    """Yield every row, a few in memory at a time."""
    image, label = given.config.columns
    for path in given.files:
        file = _opened(path)
        missing = [name for name in (image, label) if name not in file.schema_arrow.names]
        if missing:
            raise UserError(
                f"{path} has no column {missing[0]!r}; there is "
                f"{', '.join(file.schema_arrow.names)}: set dataset.annotations.columns"
            )
        row, folder = 0, path.relative_to(given.root).with_suffix("").as_posix()
        try:
            for batch in file.iter_batches(batch_size=ROWS, columns=[image, label]):
                for entry in batch.to_pylist():
                    where = f"{path}, row {row}"
                    picture, mask = _bytes(entry[image], where), _bytes(entry[label], where)
                    name = f"{folder}/{row:06d}.{_ending(picture, where)}"
                    yield Annotated(name, path, coded=Coded(_reader(mask), None), picture=picture)
                    row += 1
        except pa.ArrowException as error:
            raise UserError(f"{path} is not readable ({error}); {AGAIN}") from None


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not readable as Parquet ({reason}); {AGAIN}") from None


def _bytes(value: Any, where: str) -> bytes:
    found = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(found, bytes):
        raise UserError(
            f"{where} holds no picture, perhaps a path: embed the files (`embed_external_files` of "
            "datasets), or read them by the source `folder`"
        )
    return found


def _ending(picture: bytes, where: str) -> str:
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as file:
            return str(file.format).lower()
    except Exception:
        raise UserError(f"{where} has an image that is none of {', '.join(FORMATS)}") from None


def _reader(mask: bytes) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        import tempfile

        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(mask)
            file.flush()
            return read_values(Path(file.name))

    return read
