"""From a pool of pairs to the batches of a training, by any number of worker processes."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from data.pairs.classes import ClassTable
from data.stage.errors import UserError
from segment.batches.blends import Blend, Sample
from segment.batches.mixes import Mix
from segment.batches.pool import Pool

BLENDED = 2  # names the draw of what is blended in a batch


def augmentation(
    size: tuple[int, int],
    crop: tuple[float, float],
    flip: float,
    mirrored: Sequence[int],
    photometric: bool = False,
) -> list[dict]:
    """Return the training transforms for crops of `size` (height, width).

    The crop's side is a share of the image's side, uniform in zoom between the two of `crop`; it
    is scaled back to `size`. A share above 1 shows the image smaller, padded with `IGNORE`. With
    probability `flip` the crop is mirrored, and class c becomes `mirrored[c]`. `photometric` adds
    MMSegmentation's distortion of brightness, contrast, saturation and hue, as its configs do.
    """
    height, width = size
    smallest, largest = crop
    swapped = [(a, b) for a, b in enumerate(mirrored) if a < b]
    # It calls its colours BGR; a hue of RGB runs the other way round, and its shifts are symmetric.
    distortion = [{"type": "PhotoMetricDistortion"}] if photometric else []
    return [
        {
            "type": "RandomResize",
            "scale": (width, height),
            "ratio_range": (1 / largest, 1 / smallest),
            "keep_ratio": True,
        },
        {"type": "RandomCrop", "crop_size": (height, width)},
        {"type": "RandomFlip", "prob": flip, "swap_seg_labels": swapped or None},
        *distortion,
        {"type": "PackSegInputs"},
    ]


class PairDataset(Dataset):
    """Pairs through MMSegmentation's transforms; an item is asked for as (index, draw).

    The augmentation is a pure function of (seed, draw), whatever the number of workers. `blends`
    are what becomes of the pairs of a batch; the first `num_real` of the pool are real.
    """

    def __init__(
        self,
        pool: Pool,
        classes: ClassTable,
        transforms: Callable[[Sample], Any],
        seed: int,
        blends: Sequence[Blend] = (),
        num_real: int = 0,
    ) -> None:
        self._pool, self._transforms, self._seed = pool, transforms, seed
        self._blends, self._num_real = blends, num_real
        self.metainfo = {
            "classes": classes.names,
            "palette": [entry.color for entry in classes.classes],
        }

    def __len__(self) -> int:
        return len(self._pool)

    def __getitem__(self, item: tuple[int, int]) -> Sample:
        index, draw = item
        # the transforms draw from the global generators
        state = int(np.random.SeedSequence([self._seed, draw]).generate_state(1)[0])
        np.random.seed(state)
        random.seed(state)
        image, label = self._pool[index]
        shape = image.shape[:2]
        return self._transforms(
            {
                "img": image,
                "gt_seg_map": label,
                "seg_fields": ["gt_seg_map"],
                "img_shape": shape,
                "ori_shape": shape,
            }
        )

    def __getitems__(self, items: Sequence[tuple[int, int]]) -> list[Sample]:
        """Return the samples of a batch; torch's loader asks for them together."""
        samples = [self[item] for item in items]
        real = [index < self._num_real for index, _ in items]
        rng = np.random.default_rng([self._seed, BLENDED, items[0][1]])
        for blend in self._blends:
            samples = blend(samples, real, rng)
        return samples


def make_loader(
    dataset: PairDataset,
    mix: Mix,
    *,
    num_workers: int,
    collate: Callable[[list[Sample]], Any],
) -> DataLoader:
    """Return the batches of `mix`; the same ones whatever the number of workers.

    Workers are forked, so that they share what the pool keeps.
    """
    return DataLoader(
        dataset,
        batch_sampler=mix,
        num_workers=num_workers,
        collate_fn=collate,
        multiprocessing_context="fork" if num_workers else None,
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Give a `UserError` of a worker process back its one line; torch wraps it in a traceback."""
    try:
        yield
    except UserError as error:
        last = str(error).rstrip().splitlines()[-1]
        prefix = f"{UserError.__module__}.{UserError.__qualname__}: "
        raise UserError(last.removeprefix(prefix)) from None
