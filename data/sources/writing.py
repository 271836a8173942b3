"""Write checked pairs as pair sets: one for each split, and the training pairs in more detail."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from data.pairs.pair import Pair
from data.pairs.shards import ShardWriter
from data.pairs.spread import TRAIN
from data.sources.files import RawPair, read_image, read_size
from data.sources.reading.how import How, reading
from data.sources.reading.sizes import Misfit, require_one_size
from data.sources.reading.tiles import by_window
from data.stage.params import Params
from data.stage.progress import progress

DETAIL = "detail"
"""Folder of the training pairs in more detail, beside those of the splits."""


def write(
    source: ModuleType,
    config: Params,
    parts: Mapping[str, Sequence[RawPair]],
    *,
    size: tuple[int, int],
    detail: float,
    made_by: Mapping[str, str],
    origin: Mapping[str, str],
    out: Path,
) -> None:
    """Write checked pairs, resized to size (height, width), as one pair set per part under out.

    Image and label are cut to the same box, where a source asks for one; then images are resized
    with an antialiasing bicubic filter, labels to the nearest pixel, and the aspect is not kept.
    The training pairs are written once more, at `detail_size`, as the set `DETAIL`: an empty one
    where that is no finer. `made_by` has the fingerprint of each.
    """
    finer = detail_size(parts[TRAIN], size, detail)
    sets = {**parts, DETAIL: parts[TRAIN] if finer != size else []}
    with progress(sum(map(len, sets.values())), "writing", "pairs") as advance:
        for name, pairs in sets.items():
            shape = finer if name == DETAIL else size
            with ShardWriter(
                out / name,
                classes=source.class_table(config),
                size=shape,
                fingerprint=made_by[name],
                origin={"real": origin},
            ) as writer:
                last = Decoded(source, config)
                for pair in pairs:
                    writer.write(resized(last, pair, shape))
                    advance()


def detail_size(train: Sequence[RawPair], size: tuple[int, int], detail: float) -> tuple[int, int]:
    """Return the size (height, width) at which training pairs are kept for cutting.

    It is `detail` times `size`, or less where half of the images are smaller than that: what is
    enlarged has no more detail. Never less than `size`.
    """
    if detail == 1:
        return size
    factors = []
    for pair in train:
        with reading(pair.how):
            left, top, right, bottom = kept(pair, (0, 0) if pair.box else read_size(pair.image))
        factors.append(min((bottom - top) / size[0], (right - left) / size[1]))
    factor = max(1.0, min(detail, float(np.median(factors))))
    return round(size[0] * factor), round(size[1] * factor)


class Decoded:
    """Reads what is kept of pairs: tiles by window, or the picture once for all its tiles.

    The tiles of a picture follow each other, and it is decoded whole where no window can be read.
    """

    def __init__(self, source: ModuleType, config: Params) -> None:
        self._source, self._config = source, config
        self._files: tuple[Path, Path, How] | None = None
        self._both: tuple[Image.Image, np.ndarray] | None = None
        self._has_windows = False

    def read(self, pair: RawPair) -> tuple[Image.Image, np.ndarray]:
        """Return image and label (class ids, uint8 [h, w]) of what is kept of a raw pair."""
        files = pair.image, pair.label, pair.how
        if pair.box is None or self._files != files:
            self._files, self._both = files, None  # before another is decoded
            self._has_windows = by_window(pair) is not None
        if self._has_windows and pair.box is not None:
            return self._decode(replace(pair, how=replace(pair.how, window=pair.box)))
        self._both = self._both or self._decode(pair)
        image, label = self._both
        left, top, right, bottom = box = kept(pair, image.size)
        return image.crop(box), label[top:bottom, left:right]

    def _decode(self, pair: RawPair) -> tuple[Image.Image, np.ndarray]:
        with reading(pair.how):
            image = read_image(pair.image, pair.alpha)
            label = self._source.read_label(pair, self._config)
        if image.size != label.shape[::-1]:
            misfit = Misfit(pair.image, image.size, pair.label, label.shape[::-1])
            require_one_size([misfit], num_pairs=1)
        return image, label


def kept(pair: RawPair, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) that is kept of a pair of size (width, height).

    It is a tile, or the largest of the pair's aspect, at its place of what is left over; 0 is top
    or left.
    """
    width, height = size
    if pair.box is not None:
        return pair.box
    if pair.aspect is None:
        return 0, 0, width, height
    across = max(1, min(width, round(height * pair.aspect)))
    down = max(1, min(height, round(width / pair.aspect)))
    left, top = round((width - across) * pair.place), round((height - down) * pair.place)
    return left, top, left + across, top + down


def resized(files: Decoded, pair: RawPair, size: tuple[int, int]) -> Pair:
    """Return the part of a raw pair that is kept, at size (height, width)."""
    shape = (size[1], size[0])
    image, label = files.read(pair)
    image = image.resize(shape, Image.Resampling.BICUBIC)
    part = Image.fromarray(label)
    return Pair(
        id=pair.id,
        image=np.asarray(image),
        label=np.asarray(part.resize(shape, Image.Resampling.NEAREST)),
        source="real",
        group=pair.group or None,
    )
