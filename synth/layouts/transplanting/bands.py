"""Bands of other real layouts: whole columns, which bring everything that stood above one another.

CutMix (Yun et al., ICCV 2019) with whole columns for boxes, so that what is carried stays at its
rows, between neighbours it agrees with, and with a palette that says which of them.
"""

from dataclasses import dataclass

import numpy as np

from synth.layouts.common.edits import Bands
from synth.layouts.transplanting.placing import Rng

NUM_CANDIDATES = 24  # bands that are looked at
NUM_FITTING = 6  # those of them that agree best with what is beside them: a palette chooses
LEAST = 1e-4  # share below which a class counts as that much: what is absent is no infinity


@dataclass(frozen=True)
class Band:
    """Columns `left` to `right` of a layout, exclusive: those of the pair `row` from `start` on."""

    row: int
    start: int
    left: int
    right: int
    mirrored: bool

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Cut it from pixels `[H, W, ...]` of its pair."""
        cut = pixels[:, self.start : self.start + self.right - self.left]
        return cut[:, ::-1] if self.mirrored else cut


def find(
    bands: Bands,
    label: np.ndarray,
    palette: np.ndarray,
    *,
    parent: int,
    mirrors: np.ndarray,
    rng: Rng,
) -> Band | None:
    """Find a band for a layout uint8 `[H, W]`, None where there is no other pair than its own.

    Of several that are drawn, the few that agree best with the columns at their sides are kept, and
    of these the one is taken that brings the layout nearest to a palette `[C]` (KL divergence).
    `parent` is its row; classes that are false in `mirrors` `[C]` are never seen mirrored.
    """
    others = np.delete(np.arange(len(bands.labels)), parent)
    if not len(others):
        return None
    columns = label.shape[1]
    low, high = bands.lengths
    width = int(np.clip(round(rng.uniform(low, high) * columns), 1, columns))
    left = int(rng.integers(0, columns - width + 1))
    drawn = [
        Band(
            int(rng.choice(others)),
            int(rng.integers(0, columns - width + 1)),
            left,
            left + width,
            bool(rng.random() < 0.5),
        )
        for _ in range(NUM_CANDIDATES)
    ]
    drawn = [band for band in drawn if not band.mirrored or _mirrors(bands, band, mirrors)]
    drawn.sort(key=lambda band: -_agreement(label, band, band.of(bands.labels[band.row])))
    away = [
        _distance(label, band, band.of(bands.labels[band.row]), palette)
        for band in drawn[:NUM_FITTING]
    ]
    return drawn[int(np.argmin(away))] if drawn else None


def _mirrors(bands: Bands, band: Band, mirrors: np.ndarray) -> bool:
    found = np.bincount(band.of(bands.labels[band.row]).ravel(), minlength=len(mirrors))
    return not found[: len(mirrors)][~mirrors].any()


def _agreement(label: np.ndarray, band: Band, cut: np.ndarray) -> float:
    """Return the share of rows whose class goes on across the edge, at the worse of two edges."""
    edges = []
    if band.left > 0:
        edges.append(float((cut[:, 0] == label[:, band.left - 1]).mean()))
    if band.right < label.shape[1]:
        edges.append(float((cut[:, -1] == label[:, band.right]).mean()))
    return min(edges, default=1.0)


def _distance(label: np.ndarray, band: Band, cut: np.ndarray, palette: np.ndarray) -> float:
    """Return the divergence of the layout with the band from a palette, KL(asked | made)."""
    kept = np.delete(label, np.s_[band.left : band.right], axis=1)
    pixels = np.concatenate([kept.ravel(), cut.ravel()])
    made = np.bincount(pixels, minlength=256)[: len(palette)] / label.size
    asked, made = np.maximum(palette, LEAST), np.maximum(made, LEAST)
    return float((asked * np.log(asked / made)).sum())
