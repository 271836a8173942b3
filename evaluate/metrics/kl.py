"""How well layouts keep to the palettes that were asked for."""

import numpy as np

from data.pairs.pairset import PairSet, Rows
from evaluate.metrics.metric import Found, Metric, Reference, Scored
from evaluate.statistics import evenly

EPSILON = 1e-6  # added to the obtained palette before it is renormalised, as in the paper's code


def kl(target: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return KL(target || palette) of each pair in nats; both [N, C], rows sum to 1.

    `palette` is the hard (argmax) palette q of the generated layout, used as (q + 1e-6)
    renormalised; terms whose target fraction is 0 are 0. An exact palette scores 0 up to 1e-4.
    """
    target = np.asarray(target, dtype=np.float64)
    obtained = np.asarray(palette, dtype=np.float64) + EPSILON
    obtained /= obtained.sum(axis=-1, keepdims=True)
    asked = target > 0
    ratio = np.where(asked, target, 1.0) / obtained
    return np.where(asked, target * np.log(ratio), 0.0).sum(axis=-1)


def targets_and_palettes(pairs: PairSet, rows: Rows) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (targets, hard palettes), both [N, C], or None without full-image targets.

    A partially edited pair keeps most of its parent, whose palette is its target: its KL would
    praise the kept pixels, so a set whose pairs carry an `edited` mask has none.
    """
    if not len(rows) or pairs[int(rows[0])].edited is not None:
        return None
    target = pairs.column("target")[list(rows)]
    if np.isnan(target).any():
        return None
    return target, pairs.column("palette")[list(rows)]


def of_set(scored: Scored) -> Found | None:
    """Return the mean KL of all pairs of the set."""
    palettes = targets_and_palettes(scored.pairs, scored.every)
    return None if palettes is None else Found(float(kl(*palettes).mean()))


def yardstick(reference: Reference, count: int) -> float | None:
    """Return the KL of real palettes against those of other real layouts."""
    palettes = reference.train.palettes
    chosen = palettes[evenly(range(len(palettes)), count)]
    if len(chosen) < 2:
        return None
    return float(kl(np.roll(chosen, len(chosen) // 2, axis=0), chosen).mean())


METRIC = Metric(
    "kl",
    header="KL, nats",
    digits=3,
    better="lower",
    in_words="Of the palette that was asked for against that of the layout, mean over the set; 0 "
    "is exact, and with `rounding.kind: balanced` near 0 by construction. *Of the argmax*: before "
    "rounding, which is what the generator has learnt. The yardstick is the KL between two real "
    "layouts: what a generator scores that ignores which palette was asked for.",
    compute=of_set,
    yardstick=yardstick,
)
