"""From what annotations say to a mask file of class ids for every image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from data.sources.annotations.config import Config
from data.sources.annotations.drawing import Piece, pieces, scaled
from data.sources.annotations.findings import Findings
from data.sources.annotations.formats import Format
from data.sources.annotations.naming import Finder
from data.sources.annotations.shapes import Annotated, Coded, Given, Shape
from data.sources.decode import read_orientation, read_size
from data.sources.files import distinct
from data.sources.reading.dividing import names_of
from data.sources.reading.turning import turned
from data.sources.reading.walk import nfc, slashed
from data.sources.splits import by_list
from data.stage.errors import UserError, some
from data.stage.progress import log, progress

PICTURES, MASKS = "pictures", "masks"
KEPT_BYTES = 1 << 27
"""Pixels of shapes that are kept while they are sorted; others are drawn a second time."""

ON_TOP = {
    "smaller": "the smaller object is seen",
    "later": "the later object of the file is seen",
}


@dataclass
class Renderer:
    """Draws the masks of a dataset into a folder.

    `labels` is label -> class id, None for what is not drawn; `rest` the class of other pixels.
    """

    form: Format
    labels: Mapping[str, int | None]
    rest: int
    config: Config
    finder: Finder
    out: Path
    found: Findings = field(default_factory=Findings)
    _drawn: dict[Path, tuple[Path, Path]] = field(default_factory=dict)

    @property
    def on_top(self) -> str:
        """Say which of two objects is seen."""
        return self.config.on_top or self.form.on_top

    def draw(self, given: Given) -> list[tuple[Path, Path]]:
        """Draw every image that is annotated and there; return (picture, mask) of each.

        Raises `UserError` for what would make wrong pairs, a line for all of a kind; other
        findings are logged.
        """
        (self.out / MASKS).mkdir(exist_ok=True)
        (self.out / PICTURES).mkdir(exist_ok=True)
        wanted = self._wanted()
        total = self.form.total(given) if self.form.total else len(self.finder.files)
        with progress(max(1, total), "drawing masks", "images") as advance:
            for image in self.form.read(given):
                picture = self._picture(image)
                if picture is not None and (wanted is None or picture in wanted):
                    self._draw_one(image, picture)
                    advance()
        self._draw_unannotated(wanted)
        if not self.config.names_images() or not self._drawn:
            self._require_all()
        self.found.absent.clear()
        self._require_all()
        self.found.say(len(self._drawn), ON_TOP[self.on_top])
        return [(picture, mask) for picture, (mask, _) in self._drawn.items()]

    def _require_all(self) -> None:
        known = some(self.labels)
        self.found.require_none(len(self._drawn), known, repr(self.config.images))

    def _wanted(self) -> set[Path] | None:
        if self.config.only is None:
            return None
        root, pattern = self.finder.root, self.config.images or ""
        keyed = {file.relative_to(root).as_posix(): file for file in self.finder.files}
        path = root / slashed(self.config.only, root)
        return {keyed[key] for key in by_list(path, names_of(root, keyed), pattern, "only")}

    def _picture(self, image: Annotated) -> Path | None:
        """Return the file of an image, None where it is not there, which is noted."""
        if image.picture is not None:
            path = self.out / PICTURES / image.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.picture)
            return path
        names = (image.name, *image.others)
        found = next(filter(None, map(self.finder.find, names)), None)
        if found is None and image.stem is not None:
            found = self.finder.find_stem(image.stem)
        if found is None:
            self.found.absent.setdefault(image.name, image.file)
        return found

    def _draw_one(self, image: Annotated, picture: Path) -> None:
        if picture in self._drawn:
            files = dict.fromkeys((str(self._drawn[picture][1]), str(image.file)))
            raise UserError(
                f"{picture} is annotated twice, by {' and '.join(files)}; let "
                "dataset.annotations.files match one of them, or remove one annotation"
            )
        mask = self.out / MASKS / f"{len(self._drawn):06d}.png"
        self._drawn[picture] = mask, image.file
        self.found.add_notes(image)
        try:
            label = self._label(image, picture)
        except UserError as error:
            self.found.faults.append(f"{image.file}, image {image.name}: {error}")
            return
        if label is not None:
            Image.fromarray(label).save(mask, compress_level=1)

    def _draw_unannotated(self, wanted: set[Path] | None) -> None:
        left = [p for p in self.finder.files if p not in self._drawn]
        left = [p for p in left if wanted is None or p in wanted]
        if not left:
            return
        names = some(str(p) for p in left)
        if self.config.unannotated != "rest":
            log.info(f"note: {len(left)} images are in no annotation and left out ({names})")
            return
        log.info(f"note: {len(left)} images are in no annotation and all rest ({names})")
        for picture in left:
            width, height = read_size(picture)
            mask = self.out / MASKS / f"{len(self._drawn):06d}.png"
            Image.fromarray(np.full((height, width), self.rest, np.uint8)).save(mask)
            self._drawn[picture] = mask, picture

    def _label(self, image: Annotated, picture: Path) -> np.ndarray | None:
        """Return class ids uint8 [H, W] of the picture as it lies upright.

        None where the annotation is of another size, which is noted.
        """
        size, orientation = read_size(picture), read_orientation(picture)
        stored = (size[1], size[0]) if orientation >= 5 else size
        drawn_on = size if image.size is None else image.size
        if drawn_on not in (size, stored):
            sizes = f"{picture} is {_by(size)}, and {_by(drawn_on)} for {image.file}"
            self.found.misfits.append(sizes)
            return None
        doubtful = orientation in (2, 3, 4) or (orientation >= 5 and size == stored)
        if doubtful and not self.form.upright:
            raise UserError(
                f"{picture} is turned by its EXIF orientation ({orientation}), and its size does "
                "not tell whether it was outlined before or after turning; save it without the "
                "orientation tag, lying as it was outlined"
            )
        if image.coded is not None:
            label = self._decoded(image, image.coded, drawn_on)
        else:
            label = self._painted(image, drawn_on)
        return label if drawn_on == size else turned(label, orientation)

    def _decoded(self, image: Annotated, coded: Coded, size: tuple[int, int]) -> np.ndarray:
        values = coded.read()
        if values.shape != size[::-1]:
            raise UserError(f"its mask is {_by(values.shape[::-1])}, the picture {_by(size)}")
        label = np.full(values.shape, self.rest, np.uint8)
        for value in distinct(values)[0].tolist():
            if value in coded.unlabelled:
                continue
            name = str(value) if coded.labels is None else coded.labels.get(value)
            if name is None:
                raise UserError(f"its mask has the number {value}, which the annotation has not")
            index = self._class_of(name, image)
            if index is not None:
                label[values == value] = index
        return label

    def _class_of(self, name: str, image: Annotated) -> int | None:
        """Return the class of a label, None where it is not drawn; an unknown one is noted."""
        if nfc(name) not in self.labels:
            self.found.add_unknown(name, image)
            return None
        return self.labels[nfc(name)]

    def _painted(self, image: Annotated, size: tuple[int, int]) -> np.ndarray:
        label = np.full(size[::-1], self.rest, np.uint8)
        seen = np.zeros(label.shape, bool)
        if not image.shapes:
            self.found.empty.append(image.name)
        hidden = 0
        for index, piece in self._ordered(image, size):
            rows, columns = piece.place
            below, covered = label[rows, columns], seen[rows, columns]
            hidden += int((piece.mask & covered & (below != index)).sum())
            below[piece.mask] = index
            covered |= piece.mask
        self.found.covered += int(seen.sum())
        if hidden:
            self.found.hidden += hidden
            self.found.overlaps.append(image.name)
        return label

    def _ordered(self, image: Annotated, size: tuple[int, int]) -> Iterator[tuple[int, Piece]]:
        """Yield (class id, pixels) of the shapes from the lowest to the highest."""
        drawn: list[tuple[Shape, int, int, Piece | None]] = []
        kept = 0
        for shape in image.shapes:
            index = self._class_of(shape.label, image)
            if index is None:
                continue
            piece = self._piece(shape, image, size)
            self.found.outside[image.name] += piece.outside
            self.found.crowds += shape.crowd
            kept += piece.mask.size
            area = int(piece.mask.sum())
            self.found.unseen[image.name] += not area and not piece.outside
            drawn.append((shape, index, area, piece if kept <= KEPT_BYTES else None))
        self.found.outside, self.found.unseen = +self.found.outside, +self.found.unseen
        if self.on_top == "smaller":
            drawn.sort(key=lambda entry: -entry[2])
        drawn.sort(key=lambda entry: not entry[0].crowd)
        for shape, index, _, piece in drawn:
            yield index, piece or self._piece(shape, image, size)

    def _piece(self, shape: Shape, image: Annotated, size: tuple[int, int]) -> Piece:
        shape = scaled(shape, size) if image.fractions else shape
        return pieces(shape, size, self.config.line_width)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
