"""Pairs of a batch blended with each other: whose pixels and whose labels, drawn by whom."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.classes import IGNORE
from data.pairs.shards import PairSet
from segment import mm
from segment.batches.blends import Boxes, ClassMix, CutMix, RareClasses, Sample, rare_classes
from segment.batches.loading import augmentation
from segment.batches.mixes import make_mix
from segment.batches.pool import Part, Pool

ALWAYS = CutMix(probability=1.0, area=(0.2, 0.4))


def samples(artifacts: Path, count: int = 4, seed: int = 0) -> list[Sample]:
    """Return scenes through the transforms of training."""
    pairs = PairSet(artifacts / "real/train")
    pipeline = augmentation(pairs.size, (1.0, 1.0), 0.5, pairs.classes.mirrored)
    items = mm.dataset(Pool([Part.whole(pairs)], memory_limit_mb=9), pairs.classes, pipeline, seed)
    return [items[index, index] for index in range(count)]


def arrays(sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    return sample["inputs"], sample["data_samples"].gt_sem_seg.data[0]


def taken(before: Sample, after: Sample) -> torch.Tensor:
    """Return the pixels of an image that changed, bool `[H, W]`; scenes have noise everywhere."""
    return (arrays(before)[0] != arrays(after)[0]).any(dim=0)


def test_a_box_of_another_pair_comes_with_its_label(artifacts: Path) -> None:
    before = samples(artifacts)
    kept = [[tensor.clone() for tensor in arrays(sample)] for sample in before]
    after = Boxes(ALWAYS)(before, [True] * 4, np.random.default_rng(0))
    for place, sample in enumerate(after):
        mask = taken(before[place], sample)
        rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
        box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert 0.15 < box / mask.numel() < 0.45
        image, label = arrays(sample)
        whose = [
            other
            for other in range(4)
            if torch.equal(image[:, mask], arrays(before[other])[0][:, mask])
        ]
        assert len(whose) == 1 and whose != [place]
        assert torch.equal(label[mask], arrays(before[whose[0]])[1][mask])
        assert torch.equal(label[~mask], arrays(before[place])[1][~mask])
    for sample, tensors in zip(before, kept, strict=True):
        assert all(map(torch.equal, arrays(sample), tensors)), "what came in stays as it was"


def test_how_often_a_pair_gets_a_box(artifacts: Path) -> None:
    before = samples(artifacts)
    rarely = Boxes(CutMix(probability=0.25, area=(0.2, 0.4)))
    rng = np.random.default_rng(0)
    changed = [
        bool(taken(one, other).any())
        for _ in range(100)
        for one, other in zip(before, rarely(before, [True] * 4, rng), strict=True)
    ]
    assert 0.15 < np.mean(changed) < 0.35


def test_rare_classes_of_real_pairs_are_pasted_on_synthetic_ones(artifacts: Path) -> None:
    before, real = samples(artifacts), [True, True, False, False]
    after = RareClasses(ClassMix(probability=1.0, below=0.5), (2,))(
        before, real, np.random.default_rng(0)
    )
    for place in (0, 1):
        assert after[place] is before[place]
    for place in (2, 3):
        mask = taken(before[place], after[place])
        image, label = arrays(after[place])
        donor = next(d for d in (0, 1) if torch.equal(mask & (arrays(before[d])[1] == 2), mask))
        assert mask.any() and (label[mask] == 2).all()
        assert torch.equal(image[:, mask], arrays(before[donor])[0][:, mask])
        assert torch.equal(label[~mask], arrays(before[place])[1][~mask])


def test_nothing_is_pasted_where_no_pair_is_real_and_nothing_that_is_ignored(
    artifacts: Path,
) -> None:
    before = samples(artifacts)
    blend = RareClasses(ClassMix(probability=1.0, below=0.5), (2,))
    for sample in before[:2]:
        sample["data_samples"].gt_sem_seg.data[:] = IGNORE
    for real in ([False] * 4, [True, True, False, False], [True] * 4):
        after = blend(before, real, np.random.default_rng(0))
        assert not any(bool(taken(*both).any()) for both in zip(before, after, strict=True))


def test_rare_is_what_few_pixels_of_the_real_pairs_have() -> None:
    palettes = np.array([[0.5, 0.49, 0.01, 0.0, 0.0], [0.6, 0.35, 0.01, 0.0, 0.04]])
    assert rare_classes(palettes, (0, 1, 2, 3), 0.02) == (2,), "void and absent classes are not"
    assert rare_classes(palettes, (0, 1, 2, 4), 0.03) == (2, 4)


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (CutMix, {"probability": 0, "area": [0.1, 0.5]}),
        (CutMix, {"probability": 0.5, "area": [0.5, 0.1]}),
        (CutMix, {"probability": 0.5, "area": [0.5, 1.0]}),
        (ClassMix, {"probability": 0.5, "below": 1.5}),
    ],
)
def test_numbers_out_of_range_are_refused(kind: Any, numbers: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(numbers)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_blended_the_same_whoever_loads_them(artifacts: Path, num_workers: int) -> None:
    pairs = PairSet(artifacts / "real/train")
    pool = Pool([Part.whole(pairs)], memory_limit_mb=9)
    pipeline = augmentation(pairs.size, (0.5, 1.0), 0.5, pairs.classes.mirrored)

    def batches(workers: int, blends: Any, seed: int = 1) -> list[torch.Tensor]:
        mix = make_mix(
            range(6), range(6, 12), num_real=2, num_synthetic=2, num_batches=5, seed=seed
        )
        loader = mm.loader(pool, mix, pairs.classes, pipeline, workers, blends)
        return [torch.stack(batch["inputs"]) for batch in loader]

    plain, blended = batches(0, ()), batches(num_workers, [Boxes(ALWAYS)])
    again = batches(0, [Boxes(ALWAYS)])
    assert all(map(torch.equal, blended, again))
    assert not any(map(torch.equal, blended, plain))
    kept = [(one == other).float().mean() for one, other in zip(plain, blended, strict=True)]
    assert all(share > 0.5 for share in kept), "the same pairs in the same crops below the boxes"
    rare = batches(0, [RareClasses(ClassMix(probability=1.0, below=0.5), (2,))])
    for one, other in zip(plain, rare, strict=True):
        assert torch.equal(one[:2], other[:2]) and not torch.equal(one[2:], other[2:])
