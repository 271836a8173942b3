"""Pairs of a batch blended with each other: boxes of any pair, rare classes of real ones.

Both work on samples as they come out of the transforms: `inputs` uint8 `[3, H, W]`, and the label
`data_samples.gt_sem_seg.data`, int64 `[1, H, W]`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from data.stage.params import Params

Sample = dict[str, Any]
Blend = Callable[[Sequence[Sample], Sequence[bool], np.random.Generator], list[Sample]]
"""Samples of a batch, which of them are real, a generator -> the samples blended."""


class CutMix(Params):
    """Boxes of other pairs: how often a pair gets one, and which fractions of the image it has."""

    probability: float = Field(gt=0, le=1)
    area: tuple[float, float]

    @field_validator("area")
    @classmethod
    def _range(cls, area: tuple[float, float]) -> tuple[float, float]:
        if not 0 < area[0] <= area[1] < 1:
            raise ValueError("area is [smallest, largest] fraction of the image, between 0 and 1")
        return area


class ClassMix(Params):
    """Rare classes of real pairs: how often a synthetic pair gets them, and what is called rare."""

    probability: float = Field(gt=0, le=1)
    below: float = Field(gt=0, lt=1)


@dataclass(frozen=True)
class Boxes:
    """Paste a box of another pair of the batch at its place, image and label (CutMix, ICCV 2019).

    The box has a drawn area and any proportions, as for segmentation (French et al., BMVC 2020).
    """

    config: CutMix

    def __call__(
        self, samples: Sequence[Sample], real: Sequence[bool], rng: np.random.Generator
    ) -> list[Sample]:
        """Return the samples with boxes of each other as they were."""
        found = []
        for place, sample in enumerate(samples):
            partner = samples[(place + int(rng.integers(1, len(samples)))) % len(samples)]
            mask = self._box(_label_of(sample).shape[-2:], rng)
            wanted = rng.random() < self.config.probability
            found.append(_pasted(sample, partner, mask) if wanted else sample)
        return found

    def _box(self, size: Sequence[int], rng: np.random.Generator) -> Tensor:
        """Return a box of the image as a mask bool `[H, W]`."""
        area = rng.uniform(*self.config.area)
        high = math.exp(rng.random() * math.log(area))  # of the side; the other is area / high
        mask = torch.zeros(*size, dtype=torch.bool)
        sides = [
            max(1, round(s * share)) for s, share in zip(size, (high, area / high), strict=True)
        ]
        top, left = (
            int(rng.integers(0, s - side + 1)) for s, side in zip(size, sides, strict=True)
        )
        mask[top : top + sides[0], left : left + sides[1]] = True
        return mask


@dataclass(frozen=True)
class RareClasses:
    """Paste the rare classes of a real pair of the batch on synthetic ones (after ClassMix, 2021).

    `rare` are ids of classes.
    """

    config: ClassMix
    rare: tuple[int, ...]

    def __call__(
        self, samples: Sequence[Sample], real: Sequence[bool], rng: np.random.Generator
    ) -> list[Sample]:
        """Return the samples, synthetic ones with rare classes of a real one."""
        donors = [sample for sample, of_real in zip(samples, real, strict=True) if of_real]
        found = []
        for sample, of_real in zip(samples, real, strict=True):
            donor = donors[int(rng.integers(len(donors)))] if donors else sample
            wanted = rng.random() < self.config.probability and not of_real
            mask = torch.isin(_label_of(donor)[0], torch.tensor(self.rare))
            found.append(_pasted(sample, donor, mask) if wanted else sample)
        return found


def rare_classes(palettes: np.ndarray, eval_ids: Sequence[int], below: float) -> tuple[int, ...]:
    """Return the classes of mIoU with less than this fraction of the pixels, of palettes `[N, C]`.

    Classes that do not occur are none of them.
    """
    shares = palettes.mean(axis=0, dtype=np.float64)
    return tuple(c for c in eval_ids if 0 < shares[c] < below)


def _label_of(sample: Sample) -> Tensor:
    return sample["data_samples"].gt_sem_seg.data


def _pasted(sample: Sample, other: Sample, mask: Tensor) -> Sample:
    """Return a copy of a sample that shows another one where a mask bool `[H, W]` says so."""
    about = sample["data_samples"].clone()
    label = about.gt_sem_seg.clone()
    label.data = torch.where(mask, _label_of(other), _label_of(sample))
    about.gt_sem_seg = label
    return {"inputs": torch.where(mask, other["inputs"], sample["inputs"]), "data_samples": about}
