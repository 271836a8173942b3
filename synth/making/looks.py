"""Whose looks pairs are painted in: those of real images, whole or class by class, or new ones."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from synth.painters import PAINTERS
from synth.painters.common.bank import StyleBank
from synth.painters.common.entry import always
from synth.training import artifact

# The look of the real pair whose layout it is | of another one | of each class by itself | of none,
# drawn from the looks that there are.
Style = Literal["own", "one", "mixed", "sampled"]

PAIRS_PER_COMPONENT, MOST_COMPONENTS = 100, 5
REGULARISED = 1e-3  # added to variances of styles, which are near 1


@dataclass(frozen=True)
class Looks:
    """The looks of a set: `ids` are the real pairs, by row of the painter's bank.

    `laws` has one for each class where looks are sampled, else none. `row` is the look of every
    pair, None where each draws its own.
    """

    style: Style
    ids: tuple[str, ...]
    num_classes: int
    laws: tuple["StyleLaw", ...]
    row: int | None = None

    @classmethod
    def of(cls, style: Style, bank: StyleBank, ids: Sequence[str]) -> "Looks":
        """Take the looks of a bank whose rows are the pairs of these ids."""
        styles, shown = bank.styles.cpu().numpy(), bank.shown.cpu().numpy()
        num_classes = styles.shape[1]
        laws: tuple[StyleLaw, ...] = ()
        if style == "sampled":
            laws = tuple(StyleLaw.fit(styles[shown[:, c], c]) for c in range(num_classes))
        return cls(style, tuple(ids), num_classes, laws)

    def draw(
        self, parents: Sequence[int | None], keys: Sequence[tuple[int, ...]]
    ) -> tuple[Tensor, list[str | None]]:
        """Draw a look for each pair: what a `PaintRequest` is given, and the ids of whole donors.

        `parents` are rows of the bank, `keys` seed the draw of each pair.
        """
        styles, donors = [], []
        for parent, key in zip(parents, keys, strict=True):
            rng = np.random.default_rng(np.random.SeedSequence(key))
            if self.row is not None:
                styles.append(np.asarray(self.row))
                donors.append(self.ids[self.row])
            elif self.style == "sampled":
                styles.append(np.stack([law.draw(rng) for law in self.laws]))
                donors.append(None)
            elif self.style == "mixed":
                styles.append(rng.integers(len(self.ids), size=self.num_classes))
                donors.append(None)
            else:
                own = parent if self.style == "own" else None
                row = self._another(parent, rng) if own is None else own
                styles.append(np.asarray(row))
                donors.append(self.ids[row])
        return torch.from_numpy(np.stack(styles)), donors

    def _another(self, parent: int | None, rng: np.random.Generator) -> int:
        count = len(self.ids)
        if parent is None or count == 1:
            return int(rng.integers(count))
        return (parent + 1 + int(rng.integers(count - 1))) % count


@dataclass(frozen=True)
class StyleLaw:
    """A Gaussian mixture of the styles `[n, S]` of a class, cut to the range of each number.

    `roots` `[K, S, S]` are those of the covariances.
    """

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, styles: np.ndarray) -> "StyleLaw":
        """Fit the law of styles `[n, S]`; of one there is only that one, of none zeros."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        count, size = styles.shape
        if count < 2:
            center = styles.sum(0, keepdims=True)
            return cls(np.ones(1), center, np.zeros((1, size, size)), center[0], center[0])
        number = min(MOST_COMPONENTS, 1 + count // PAIRS_PER_COMPONENT)
        mixture = GaussianMixture(number, reg_covar=REGULARISED, random_state=0)
        with warnings.catch_warnings(), threadpool_limits(1):  # every worker has the same bits
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(styles.astype(np.float64))
        weights, means = np.asarray(mixture.weights_), np.asarray(mixture.means_)
        roots = np.linalg.cholesky(np.asarray(mixture.covariances_))
        return cls(weights, means, roots, styles.min(0), styles.max(0))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a style, float32 `[S]`."""
        part = int(np.searchsorted(self.weights.cumsum()[:-1], rng.random()))
        drawn = self.means[part] + self.roots[part] @ rng.standard_normal(self.means.shape[1])
        return drawn.clip(self.low, self.high).astype(np.float32)


def takes_style(painter: str, path: Path) -> bool:
    """Say whether the painter of an artifact, of this registry name, keeps a bank of looks."""
    entry = PAINTERS[painter]
    return entry.takes_style is not None and entry.takes_style(artifact.config_of(path, entry))


def who_takes_styles() -> str:
    """Name the painters that do, and those that do with an encoder."""
    may = {name: entry.takes_style for name, entry in PAINTERS.items() if entry.takes_style}
    return ", ".join(
        name if takes is always else f"{name} with an encoder" for name, takes in may.items()
    )
