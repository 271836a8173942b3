"""Whether the masks of one dataset agree in what their palettes show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.pairs.classes import ClassInfo
from data.sources.decode import read_mode
from data.sources.files import distinct
from data.sources.masks.coded import Coded, is_neutral, read_coded
from data.sources.masks.encodings import pack, show_color
from data.sources.reading.pixels import bands
from data.stage.errors import UserError

FIX = "save one again with the palette of the other"


@dataclass
class Palettes:
    """The palettes of all indexed masks read so far, and which classes they were read as.

    A colour that means one class in one file and another class in the next, or an index whose
    colour changes from file to file, shows that somebody saved a mask again with another palette.
    So may a palette beside masks that have none and are read by ids, unless the palette only
    repeats the indices, or is that of a published table (`published`).
    """

    classes: Sequence[ClassInfo]
    published: bool
    _colors: dict[int, tuple[int, bytes, Path]] = field(default_factory=dict)
    _indices: dict[tuple[int, int], tuple[int, Path]] = field(default_factory=dict)
    _plain: Path | None = None
    _foreign: Path | None = None

    def add(self, path: Path, label: np.ndarray) -> None:
        """Compare a mask, read as label uint8 [H, W], with those before; raise `UserError`."""
        if read_mode(path) != "P":
            if self._plain is None and not self._by_look(path, label):
                self._plain = path
        else:
            self._add_indexed(path, label)
        if self._plain and self._foreign:
            raise UserError(
                f"{self._foreign} has a palette and {self._plain} has none, and whether an index "
                "of the one is an id of the other is not certain; save all masks in one way"
            )

    def _add_indexed(self, path: Path, label: np.ndarray) -> None:
        coded = read_coded(path)
        looks = coded.looks()
        pairs = _pairs(coded, label)
        for index, name in pairs:
            self._compare(path, index, name, looks[index], coded.palette)
        own = self.published and self._shown(looks, pairs)
        if not own and not is_neutral(looks):
            self._foreign = self._foreign or path

    def _by_look(self, path: Path, label: np.ndarray) -> bool:
        coded = read_coded(path)
        return coded.shades is None or self._shown(coded.looks(), _pairs(coded, label))

    def _shown(self, looks: Mapping[int, int], pairs: Iterable[tuple[int, int]]) -> bool:
        """Say whether a mask shows each class in the colour that it has."""
        return all(looks.get(v) == pack(self.classes[name].color) for v, name in pairs)

    def _compare(self, path: Path, index: int, name: int, shade: int, palette: bytes) -> None:
        shown = f"{path} shows {self.classes[name].name!r}"
        other, whole, first = self._colors.setdefault(shade, (name, palette, path))
        if other != name and whole != palette:
            raise UserError(
                f"{shown} in {show_color(shade)}, in which {first} shows "
                f"{self.classes[other].name!r}; their palettes differ: {FIX}"
            )
        was, first = self._indices.setdefault((index, name), (shade, path))
        if was != shade:
            raise UserError(
                f"{shown} (index {index}) in {show_color(shade)}, {first} in {show_color(was)}; "
                f"their palettes differ: {FIX}"
            )


def _pairs(coded: Coded, label: np.ndarray) -> list[tuple[int, int]]:
    """Return the numbers of a mask with the classes that they were read as."""
    factor = max(1, label.shape[0] // coded.values.shape[0])  # some sources enlarge labels
    label = label[::factor, ::factor]
    if label.shape != coded.values.shape:
        return []
    found: set[int] = set()
    for rows in bands(label):
        both, _ = distinct(coded.values[rows].astype(np.int64) << 8 | label[rows])
        found.update(both.tolist())
    return [(v >> 8, v & 255) for v in sorted(found)]
