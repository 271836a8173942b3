"""Palettes that lean towards classes which segmenters miss, not far from the real ones.

Semantic Palette's released code re-weights its mixture by the loss on synthetic pairs, which
rewards bad ones, and shifts the means of single classes. Here the IoU on held-out folds of the real
training pairs says what is missed, and whole palettes are drawn again by how much of that they
show, so that classes keep their company.

For a palette t: w(t) = (floor + sum_c a_c [t_c > tau_c]) ** power, with a the softmax of
(1 - IoU) / temperature over the eval classes and tau_c a low quantile of the real shares of c where
it is there at all. Of `num_candidates` draws of the fitted law one is taken in proportion to w
(sampling-importance-resampling). The power is lowered until the mean of such palettes is within
`max_divergence` of the real mean; a share of the palettes is drawn from the unchanged law.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field

from data.pairs.confusion import scores
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from data.stage.params import Params
from synth.palettes.palette import PaletteModel

LAW_FILE, FOLD_FILE = "adaptive.json", "fold.json"

# Streams of random numbers of a draw, beside the two that the fitted law draws from.
CANDIDATES, CHOICE = 2, 3

NUMBERS = ("floor", "power", "num_candidates", "share")
NUM_TRIALS = 512  # palettes from which the divergence is taken, each from its own candidates
TRIALS_SEED = 0
NUM_HALVINGS = 20


class Config(Params):
    """A section of `adaptive`; see the module for what the numbers do."""

    temperature: float = Field(gt=0)
    floor: float = Field(gt=0)
    power: float = Field(gt=0)
    num_candidates: int = Field(ge=2)
    threshold_quantile: float = Field(ge=0, lt=1)
    max_divergence: float = Field(gt=0)
    share: float = Field(gt=0, le=1)


@dataclass(frozen=True)
class AdaptivePalettes:
    """A fitted law and how it leans: `importance` a and `thresholds` tau are `[C]`.

    Draws like a `PaletteModel`; densities stay those of the fitted law, so that controls with
    `realism` mean what they say.
    """

    base: PaletteModel
    importance: np.ndarray
    thresholds: np.ndarray
    floor: float
    power: float
    num_candidates: int
    share: float

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.base.num_classes

    def weights(self, shares: np.ndarray) -> np.ndarray:
        """Return w of palettes `[..., C]`, `[...]`."""
        return (self.floor + (shares > self.thresholds) @ self.importance) ** self.power

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw n palettes, float32 `[n, C]`; the first n of a longer draw are the same.

        A palette that does not lean is that of the fitted law for the same seed and place.
        """
        candidates, weights = self._candidates(n, seed)
        draws = np.random.default_rng(np.random.SeedSequence([seed, CHOICE])).random((n, 2))
        edges = np.cumsum(weights, axis=1)
        chosen = (edges < draws[:, :1] * edges[:, -1:]).sum(axis=1)
        leaning = candidates[np.arange(n), chosen]
        return np.where(draws[:, 1:] < self.share, leaning, self.base.sample(n, seed))

    def log_density(self, shares: np.ndarray) -> np.ndarray:
        """Return the log density of palettes `[n, C]` under the fitted law, `[n]`."""
        return self.base.log_density(shares)

    def leaning_mean(self) -> np.ndarray:
        """Return the mean `[C]` of the palettes that lean, from `NUM_TRIALS` sets of candidates."""
        candidates, weights = self._candidates(NUM_TRIALS, TRIALS_SEED)
        weights = weights / weights.sum(axis=1, keepdims=True)
        return np.einsum("nm,nmc->c", weights, candidates.astype(np.float64)) / NUM_TRIALS

    def _candidates(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        key = np.random.SeedSequence([seed, CANDIDATES]).generate_state(1, np.uint64)
        drawn = self.base.sample(n * self.num_candidates, int(key[0]))
        drawn = drawn.reshape(n, self.num_candidates, self.num_classes)
        return drawn, self.weights(drawn)

    def save(self, out: Path, iou: np.ndarray, divergence: float) -> None:
        """Write `adaptive.json` into a folder; the fitted law stays where it is."""
        numbers = {key: getattr(self, key) for key in NUMBERS}
        arrays = {"importance": self.importance.tolist(), "thresholds": self.thresholds.tolist()}
        about = {"iou": [None if np.isnan(v) else v for v in iou.tolist()]}
        write_json(out / LAW_FILE, numbers | arrays | about | {"divergence": divergence})


Law = PaletteModel | AdaptivePalettes


def load(layout: Path, palettes: PaletteModel) -> Law:
    """Return the law that the layouts of an artifact are drawn with: leaning or as fitted."""
    if not (layout / LAW_FILE).is_file():
        return palettes
    found = read_json(layout / LAW_FILE)
    return AdaptivePalettes(
        base=palettes,
        importance=np.asarray(found["importance"]),
        thresholds=np.asarray(found["thresholds"]),
        **{key: found[key] for key in NUMBERS},
    )


def lean(
    palettes: PaletteModel,
    real: np.ndarray,
    iou: np.ndarray,
    eval_ids: Sequence[int],
    config: Config,
) -> AdaptivePalettes:
    """Make a fitted law lean by the IoU `[C]` (0 to 1, NaN for unseen) of the real classes.

    `real` are the palettes `[N, C]` of the training pairs. Raises `UserError` where no eval class
    has an IoU, or the fitted law alone is further from the real mean than allowed.
    """
    law = AdaptivePalettes(
        base=palettes,
        importance=importance(iou, eval_ids, config.temperature),
        thresholds=thresholds(real, config.threshold_quantile),
        floor=config.floor,
        power=config.power,
        num_candidates=config.num_candidates,
        share=config.share,
    )

    def too_far(power: float) -> bool:
        return divergence(replace(law, power=power), real) > config.max_divergence

    if not too_far(config.power):
        return law
    if too_far(0.0):
        raise UserError(
            f"the fitted palettes alone are {divergence(replace(law, power=0.0), real):.3f} nat "
            f"from the real mean; set max_divergence above that, or fit them with other numbers"
        )
    low, high = 0.0, config.power
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if too_far(middle) else (middle, high)
    return replace(law, power=low)


def importance(iou: np.ndarray, eval_ids: Sequence[int], temperature: float) -> np.ndarray:
    """Return a `[C]`, which sums to 1: 0 for classes that do not count or were not seen."""
    counted = np.zeros(len(iou), bool)
    counted[list(eval_ids)] = True
    counted &= ~np.isnan(iou)
    if not counted.any():
        raise UserError("no class that counts in mIoU is in the training pairs; nothing can lean")
    missed = np.where(counted, (1 - np.nan_to_num(iou)) / temperature, -np.inf)
    raised = np.exp(missed - missed.max())
    return raised / raised.sum()


def thresholds(real: np.ndarray, quantile: float) -> np.ndarray:
    """Return tau `[C]`: a quantile of the shares above 0; 1, never passed, for absent classes."""
    columns = [column[column > 0] for column in np.asarray(real, np.float64).T]
    return np.array([np.quantile(c, quantile) if len(c) else 1.0 for c in columns])


def divergence(law: AdaptivePalettes, real: np.ndarray) -> float:
    """Return KL in nats of the mean of leaning palettes against the mean of real ones `[N, C]`."""
    mean, wanted = law.leaning_mean(), np.asarray(real, np.float64).mean(axis=0)
    there = mean > 0
    return float((mean[there] * np.log(mean[there] / np.maximum(wanted[there], 1e-12))).sum())


def held_out_iou(folds: Path, numbers: Sequence[int], eval_ids: Sequence[int]) -> np.ndarray:
    """Return IoU `[C]`, 0 to 1, over the held-out pairs of all folds; NaN for classes not there.

    A fold's `fold.json` has the confusion matrix of its held-out pairs.
    """
    total = np.zeros((), np.int64)
    for number in numbers:
        path = folds / str(number) / FOLD_FILE
        if not path.is_file():
            raise UserError(f"fold {number} is missing: there is no {path}; run `dvc repro fold`")
        total = total + np.asarray(read_json(path)["confusion"], np.int64)
    return np.asarray(scores(total, eval_ids).iou) / 100
