"""A label filter by segmenters that saw neither the pair's parent nor what they are measured by.

The real training pairs are cut into folds, groups whole, and one segmenter is trained without each.
It measures the pairs of its own fold, which it has not seen, and the synthetic pairs that descend
from them: the mean posterior, over a connected component of one class, of that class. A synthetic
component is dropped where it is below a quantile of the real ones of its class. So a class that
segmenters find hard is compared with itself, and never with what they learnt by heart.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from data.pairs.components import components
from data.pairs.pairset import PairSet
from segment.batches.masks import packed
from segment.folds import divide
from segment.trust.judging import FilterParams, Judging, Trusted, measured


class Config(FilterParams):
    """An entry of `trust` in params.yaml."""

    quantile: float = Field(gt=0, lt=1)


def trusted(judging: Judging, config: Config) -> Trusted:
    """Return masks of a set, and what was kept of each class."""
    pairs, real = judging.pairs, judging.real
    folds = divide(real, config.num_folds, "trust: num_folds")
    judges = judges_of(pairs, real, folds)
    real_measures: dict[int, list[float]] = defaultdict(list)
    sums: dict[int, np.ndarray] = {}
    for number, held_out in enumerate(folds):
        posteriors = judging.fit(held_out, number)
        for _, classes, values in measured(posteriors, real, held_out):
            for entry, value in zip(classes.tolist(), values.tolist(), strict=True):
                real_measures[entry].append(value)
        asked = [row for row, numbers in judges.items() if number in numbers]
        for row, _, values in measured(posteriors, pairs, asked):
            sums[row] = sums.get(row, 0) + values / len(judges[row])
    num_classes = pairs.classes.num_classes
    least = thresholds(real_measures, num_classes, config.quantile)
    return _masked(pairs, sums, least, {c: len(found) for c, found in real_measures.items()})


def judges_of(pairs: PairSet, real: PairSet, folds: list[np.ndarray]) -> dict[int, list[int]]:
    """Return, for each row of a set, the segmenters that judge it; `folds` are rows `[N]` of real.

    That is the one that has not seen its parent, or all of them for a pair without a parent.
    """
    ids = real.ids()
    fold_of = {ids[row]: number for number, rows in enumerate(folds) for row in rows}
    everyone = list(range(len(folds)))
    return {
        row: [fold_of[parent]] if parent in fold_of else everyone
        for row, parent in enumerate(pairs.column("parent"))
    }


def thresholds(
    measures: Mapping[int, list[float]], num_classes: int, quantile: float
) -> np.ndarray:
    """Return the least mean posterior `[C]` of a trusted component of each class.

    A class without a real component has 0: there is nothing that it could be measured by.
    """
    found = [measures.get(entry, []) for entry in range(num_classes)]
    return np.asarray([np.quantile(values, quantile) if values else 0.0 for values in found])


def _masked(
    pairs: PairSet, values: Mapping[int, np.ndarray], least: np.ndarray, counts: Mapping[int, int]
) -> Trusted:
    num_classes = pairs.classes.num_classes
    kept, total = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    bits = []
    for row in range(len(pairs)):
        _, label = pairs.arrays(row)
        numbered, classes = components(label, num_classes)
        good = np.concatenate([[True], values[row] >= least[classes]])
        mask = good[numbered]
        bits.append(packed(mask))
        known = label < num_classes
        total += np.bincount(label[known], minlength=num_classes)
        kept += np.bincount(label[known & mask], minlength=num_classes)
    facts = {
        entry.name: {
            "kept": round(kept[c] / total[c], 4) if total[c] else None,
            "least_posterior": round(float(least[c]), 4),
            "real_components": counts.get(c, 0),
        }
        for c, entry in enumerate(pairs.classes.classes)
    }
    return Trusted(np.stack(bits), {"classes": facts, "kept": round(kept.sum() / total.sum(), 4)})
