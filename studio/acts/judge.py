"""Judge: what a segmenter reads in an image, how sure it is, and whether the image is a copy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.pairs.classes import IGNORE
from data.stage.errors import UserError
from evaluate.metrics.copies import PERCENTILE, nearest
from evaluate.metrics.features import in_deviations, load_eyes
from segment import predict
from studio.shelf import Shelf

MISSED_BELOW = 0.5  # of a class that is there: read as another one
SMALLEST = 0.001  # share of the image of a class that is worth a word
EYES = "efficientnet_lite0"
BATCH = 16


@dataclass(frozen=True)
class Judged:
    """`read` uint8 `[H, W]`, `sure` float32 `[H, W]`: the posterior of the class that was read.

    `agree` is the share of pixels that are read as labelled, and `missed` says which classes are
    not, both empty without a label. `nearest` is a training pair, `copy` whether the image is
    nearer to it than 99 of 100 training images are to another one; `said` says that in words.
    """

    read: np.ndarray
    sure: np.ndarray
    agree: float | None
    missed: tuple[str, ...]
    nearest: str
    copy: bool
    said: str


def show(
    shelf: Shelf, cell: str, image: np.ndarray, label: np.ndarray | None, parent: str | None
) -> Judged:
    """Judge an image uint8 `[H, W, 3]`; its `parent`, whose pixels it may keep, is no copy's."""
    read, sure = reader(shelf, cell)(image[None])
    agree, missed = None, ()
    if label is not None:
        agree, missed = agreement(read[0], label), _missed(shelf, read[0], label)
    found, copied, said = _nearest(shelf, image, parent)
    return Judged(read[0], sure[0], agree, missed, found, copied, said)


def reader(shelf: Shelf, cell: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a segmenter: images uint8 `[B, H, W, 3]` -> labels and their posteriors."""
    there = shelf.cells()
    if cell not in there:
        known = f"there is {', '.join(there)}" if there else "train one with `make repro`"
        raise UserError(
            f"no segmenter {cell!r} is trained in {shelf.artifacts / 'segment'}; {known}"
        )
    folder = shelf.artifacts / "segment" / cell
    made = (folder / predict.WEIGHTS).stat().st_mtime_ns
    return shelf.once(("cell", cell, made), (), lambda: predict.load_sure(folder))


def agreement(read: np.ndarray, label: np.ndarray) -> float:
    """Return the share of labelled pixels that are read as they are labelled."""
    known = label != IGNORE
    return float((read == label)[known].mean()) if known.any() else 0.0


def _missed(shelf: Shelf, read: np.ndarray, label: np.ndarray) -> tuple[str, ...]:
    said = []
    for number in np.flatnonzero(np.bincount(label.ravel(), minlength=256)[:IGNORE]):
        there = label == number
        got = float((read[there] == number).mean())
        if there.mean() >= SMALLEST and got < MISSED_BELOW:
            names = shelf.real.classes.names
            counts = np.bincount(read[there], minlength=len(names))
            counts[number] = 0
            said.append(
                f"{names[number]} ({100 * got:.0f} % found, read as {names[int(counts.argmax())]})"
            )
    return tuple(said)


def _nearest(shelf: Shelf, image: np.ndarray, parent: str | None) -> tuple[str, bool, str]:
    real = shelf.real
    eyes = shelf.once("eyes", (), lambda: load_eyes(EYES))

    def pooled(images: np.ndarray) -> np.ndarray:
        maps = eyes.look(images)
        return np.concatenate([one.mean((2, 3)).numpy() for one in maps], axis=1, dtype=np.float64)

    def look() -> np.ndarray:
        rows = np.arange(len(real))
        return np.concatenate(
            [pooled(real.images(part)) for part in np.array_split(rows, max(1, len(rows) // BATCH))]
        )

    ids = real.ids()
    train = shelf.once("pooled", (shelf.train,), look)
    known = in_deviations(train, train)
    left_out = np.array([[name == parent for name in ids]])
    if left_out.all():
        left_out[:] = False
    index, distance = nearest(in_deviations(pooled(image[None]), train), known, left_out)
    _, usual = nearest(known, known, np.eye(len(ids), dtype=bool))
    usual = usual[np.isfinite(usual)]
    limit = float(np.percentile(usual, PERCENTILE)) if len(usual) else 0.0
    copied = bool(distance[0] < limit)
    beside = f" beside its parent {parent}" if parent in ids and len(ids) > 1 else ""
    verdict = "nearer than real images are to each other: maybe a copy" if copied else "no copy"
    said = (
        f"nearest training pair{beside}: {ids[int(index[0])]}, {distance[0]:.2f} deviations away; "
        f"of real images 99 in 100 are at least {limit:.2f} apart: {verdict}"
    )
    return ids[int(index[0])], copied, said
