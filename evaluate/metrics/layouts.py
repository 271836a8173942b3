"""How well layouts keep to the palette that was asked for, and how like real ones they are."""

from collections.abc import Sequence

import numpy as np

from data.pairs.shards import PairSet
from evaluate.metrics.frechet import frechet

EPSILON = 1e-6  # added to the obtained shares before they are renormalised, as in the paper's code


def kl(target: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return KL(target || palette) of each pair in nats; both [N, C], rows sum to 1.

    `palette` is the hard (argmax) palette q of the generated layout, used as (q + 1e-6)
    renormalised; terms whose target share is 0 are 0. An exact palette scores 0 up to 1e-4.
    """
    target = np.asarray(target, dtype=np.float64)
    obtained = np.asarray(palette, dtype=np.float64) + EPSILON
    obtained /= obtained.sum(axis=-1, keepdims=True)
    asked = target > 0
    ratio = np.where(asked, target, 1.0) / obtained
    return np.where(asked, target * np.log(ratio), 0.0).sum(axis=-1)


def asked_and_obtained(pairs: PairSet, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (targets, hard palettes), both [N, C], or None without full-image targets.

    A partially edited pair keeps most of its parent, whose palette is its target: its KL would
    praise the kept pixels, so a set whose pairs carry an `edited` mask has none.
    """
    if not len(rows) or pairs[int(rows[0])].edited is not None:
        return None
    target = pairs.column("target")[rows]
    if np.isnan(target).any():
        return None
    return target, pairs.column("palette")[rows]


def fidelity(target: np.ndarray, palette: np.ndarray) -> dict[str, float | int]:
    """Return the mean KL of a set and, as its scale, the KL when targets are dealt out anew.

    `kl_shuffled` pairs every layout with another layout's target (a rotation by half the set):
    what a generator scores that has the right palettes but ignores which one was asked for.
    """
    half = max(1, len(target) // 2)
    return {
        "kl": float(kl(target, palette).mean()),
        "kl_shuffled": float(kl(np.roll(target, half, axis=0), palette).mean()),
        "num_pairs": len(target),
    }


def layout_fidelity(pairs: PairSet, rows: Sequence[int]) -> dict[str, float | int] | None:
    """Return `fidelity` of the rows of a set, or None without full-image targets."""
    palettes = asked_and_obtained(pairs, rows)
    return None if palettes is None else fidelity(*palettes)


def fsd(palettes: np.ndarray, held_out: np.ndarray) -> float:
    """Return the Frechet segmentation distance of two sets of hard palettes, [N, C] and [M, C].

    Gaussians are fitted to the class shares in percent, as the paper's figures are: shares in
    fractions would give a distance 10,000 times smaller. `held_out` are the real val layouts.
    """
    return frechet(100 * np.asarray(palettes, np.float64), 100 * np.asarray(held_out, np.float64))
