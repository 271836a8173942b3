"""What is known of a pair once it was looked at, whole or band by band."""

import hashlib

import numpy as np
from PIL import Image

from data.sources import duplicates
from data.sources.files import distinct

ROWS = 1024
SHRINK = 8  # how much smaller bands are kept, for what the whole looks like


class Looked:
    """The hashes of a pair's pixels, the pixels of each class, and what the picture looks like."""

    def __init__(self, size: tuple[int, int], num_classes: int) -> None:
        """Begin a pair of size (width, height)."""
        self.size = size
        self._image, self._label = hashlib.sha256(repr(size).encode()), hashlib.sha256()
        self._small: list[Image.Image] = []
        self.counts = np.zeros(num_classes, np.int64)
        self._look: int | None = None

    def add(self, image: Image.Image, label: np.ndarray, counted: np.ndarray) -> None:
        """Add all of a pair, or its next band; `counted` are the labels that are kept of it."""
        for top in range(0, image.height, ROWS):  # a copy of all would be as large as it is
            bottom = min(image.height, top + ROWS)
            self._image.update(image.crop((0, top, image.width, bottom)).tobytes())
        self._label.update(label.tobytes())
        ids, counts = distinct(counted)
        self.counts[ids] += counts
        if image.size == self.size:
            self._look = duplicates.picture_hash(image)
        else:
            self._small.append(image.convert("L").reduce(SHRINK))

    @property
    def look(self) -> int | None:
        """The perceptual hash of the image, None for one of a single shade."""
        return duplicates.picture_hash(_stacked(self._small)) if self._small else self._look

    @property
    def digest(self) -> str:
        """The hash of the image: of its size and pixels, as RGB."""
        return self._image.hexdigest()

    @property
    def label_digest(self) -> str:
        """The hash of the label."""
        return self._label.hexdigest()


def _stacked(bands: list[Image.Image]) -> Image.Image:
    whole = Image.new("L", (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole
