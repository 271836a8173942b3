"""What a metric is, and what it looks at: a set of synthetic pairs beside the real ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from data.pairs.pairset import PairSet, Rows
from evaluate.metrics.features import Eyes, Seen, see
from evaluate.metrics.inception import Inception
from evaluate.metrics.judge import Judge

Json = dict[str, Any]


@dataclass(frozen=True)
class RealPairs:
    """The real pairs of a split as networks see them, computed once.

    `groups` are their videos or scenes, None where the dataset names none; `palettes` is `[N, C]`,
    `pieces` the connected components of the labels, `[K, 4]`, `seen` what the pretrained network
    sees, `inception` `[N, 2048]`; both None without network.
    """

    ids: tuple[str, ...]
    groups: tuple[str | None, ...]
    palettes: np.ndarray
    pieces: np.ndarray
    seen: Seen | None = None
    inception: np.ndarray | None = None

    def by_group(self) -> list[np.ndarray]:
        """Return the rows of each group; of each half, in order, where there are no two groups."""
        names = np.asarray([name or "" for name in self.groups])
        if len(set(self.groups)) < 2:
            names = np.arange(len(names)) * 2 // max(len(names), 1)
        return [np.flatnonzero(names == name) for name in np.unique(names)]


@dataclass(frozen=True)
class Reference:
    """What synthetic pairs are compared with; `val_miou` is the judge's score on real val pairs."""

    train: RealPairs
    val: RealPairs
    val_miou: float


@dataclass(frozen=True)
class Scored:
    """A set of synthetic pairs: all of them, the `rows` that are looked at, and who looks.

    `repainted` holds images of few layouts, each painted several times; without `eyes` there is
    no metric on pretrained features, without `inception` no FID.
    """

    pairs: PairSet
    every: Rows  # rows of the set's own pairs
    rows: Rows  # those of them that images are looked at of, evenly spaced
    judge: Judge
    reference: Reference
    batch_size: int
    repainted: PairSet | None = None
    eyes: Eyes | None = None
    inception: Inception | None = None

    @cached_property
    def seen(self) -> Seen | None:
        """What the pretrained network sees in the images, all metrics together in one look."""
        if self.eyes is None:
            return None
        return see(self.pairs, self.rows, self.eyes, batch_size=self.batch_size)


@dataclass(frozen=True)
class Found:
    """What a metric computed: its number, further ones by name, by class, and facts beside them."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    classes: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def records(self, metric: str) -> list[Json]:
        """Return the numbers as tidy records; parts are metrics `metric_part`."""
        named = {metric: self.value} | {f"{metric}_{k}": v for k, v in self.parts.items()}
        records: list[Json] = [{"metric": name, "value": value} for name, value in named.items()]
        for name, value in self.classes.items():
            records.append({"metric": metric, "class": name, "value": value})
        return records


@dataclass(frozen=True)
class Metric:
    """A number of a set: how it is computed, shown and read.

    `compute` returns None where the number does not exist. `yardstick` is what as many real pairs
    score, from the reference and the number of pairs; None for a metric that has no such number.
    """

    name: str
    header: str
    digits: int
    better: Literal["higher", "lower"]
    in_words: str
    compute: Callable[[Scored], Found | None]
    yardstick: Callable[[Reference, int], float | None] | None = None


def compute_all(metrics: Mapping[str, Metric], scored: Scored) -> tuple[list[Json], Json]:
    """Return the tidy records of all metrics, and the facts beside them by metric."""
    found = {name: metric.compute(scored) for name, metric in metrics.items()}
    there = {name: entry for name, entry in found.items() if entry is not None}
    records = [record for name, entry in there.items() for record in entry.records(name)]
    return records, {name: dict(entry.facts) for name, entry in there.items() if entry.facts}


def yardsticks(metrics: Mapping[str, Metric], reference: Reference, count: int) -> list[Json]:
    """Return what `count` real pairs score, as tidy records."""
    records = []
    for name, metric in metrics.items():
        value = None if metric.yardstick is None else metric.yardstick(reference, count)
        if value is not None:
            records.append({"metric": name, "value": value})
    return records
