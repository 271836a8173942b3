"""The objects that may be transplanted, with their pixels, as tensors of one artifact."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from data.pairs.pairset import PairSet
from data.stage.progress import progress
from synth.layouts.transplanting.cutting import Measured, cut
from synth.layouts.transplanting.laws import Laws


@dataclass(frozen=True)
class Bank:
    """N objects of a training set of `num_pairs` pairs, sorted by class, and the laws they follow.

    `kind` is the class, `donor` the pair, `end` the row below the object and `area` its size, as
    fractions of height and image; `off` is how far its log area lies from the law. `light` is the
    mean grey around it. Its pixels are `height` x `width` (margins included) from `start` on in
    `pixels` uint8 `[P, 4]`, colours times alpha and alpha, and in `labels` uint8 `[P]`; `mixed`
    where those hold more than its class. `size` is that of the images it was cut from. `first`
    `[C + 1]` is where the objects of each class begin, `shares` `[C]` the mean palette, `mirrors`
    bool `[C]` the classes whose objects may be mirrored.
    """

    num_pairs: int
    size: tuple[int, int]
    laws: Laws
    shares: np.ndarray
    mirrors: np.ndarray
    first: np.ndarray
    kind: np.ndarray
    donor: np.ndarray
    end: np.ndarray
    area: np.ndarray
    off: np.ndarray
    light: np.ndarray
    height: np.ndarray
    width: np.ndarray
    start: np.ndarray
    mixed: np.ndarray
    pixels: np.ndarray
    labels: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        """Return the running sum of the roots of all areas, `[N]`."""
        return np.sqrt(self.area).cumsum()

    def before(self, first: int) -> float:
        """Return that sum before an object."""
        return float(self.sizes[first - 1]) if first else 0.0

    def part(self, index: int) -> slice:
        """Return where the pixels of an object are."""
        start = int(self.start[index])
        return slice(start, start + int(self.height[index]) * int(self.width[index]))

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.kind)

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it as tensors, for safetensors."""
        laws = {f"laws.{f.name}": getattr(self.laws, f.name) for f in fields(Laws)}
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "laws"}
        return {name: torch.from_numpy(np.array(value)) for name, value in (own | laws).items()}

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> "Bank":
        """Return what `tensors` made tensors of."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        laws = Laws(**{f.name: arrays.pop(f"laws.{f.name}") for f in fields(Laws)})
        height, width = arrays.pop("size").tolist()
        return Bank(int(arrays.pop("num_pairs")), (height, width), laws, **arrays)


def choose(usable: np.ndarray, kind: np.ndarray, most: int) -> np.ndarray:
    """Return the numbers of at most `most` usable components of each class, sorted by class.

    They are spread evenly over the pairs.
    """
    chosen = []
    for number in np.unique(kind[usable]):
        of_class = np.flatnonzero(usable & (kind == number))
        places = np.linspace(0, len(of_class) - 1, min(most, len(of_class))).round().astype(int)
        chosen.append(of_class[places])
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)


def fill(
    pairs: PairSet,
    measured: Measured,
    chosen: np.ndarray,
    laws: Laws,
    *,
    shares: np.ndarray,
    mirrors: np.ndarray,
) -> Bank:
    """Cut the `chosen` components of a set; `shares` and `mirrors` as a bank has them."""
    row, kind = measured.row[chosen], measured.kind[chosen]
    cuts: dict[int, tuple[np.ndarray, np.ndarray, float]] = {}
    with progress(len(chosen), "cutting objects", "objects") as advance:
        for pair in np.unique(row).tolist():
            image, label = pairs.arrays(pair)
            for slot in np.flatnonzero(row == pair).tolist():
                cuts[slot] = cut(image, label, measured, int(chosen[slot]))
                advance()
    pieces = [cuts[slot] for slot in range(len(chosen))]
    shapes = np.array([labels.shape for _, labels, _ in pieces], np.int64).reshape(-1, 2)
    area, end = measured.area[chosen], measured.bottoms()[chosen]
    intercept, slope, _ = laws.size[kind].T
    return Bank(
        num_pairs=len(pairs),
        size=pairs.size,
        laws=laws,
        shares=shares,
        mirrors=mirrors,
        first=np.searchsorted(kind, np.arange(len(shares) + 1)),
        kind=kind,
        donor=row,
        end=end,
        area=area,
        off=np.log(area) - intercept - slope * end,
        light=np.array([light for _, _, light in pieces]),
        height=shapes[:, 0],
        width=shapes[:, 1],
        start=np.append(0, shapes.prod(1).cumsum())[: len(chosen)],
        mixed=np.array(
            [bool((labels != k).any()) for (_, labels, _), k in zip(pieces, kind, strict=True)]
        ),
        pixels=_joined([pixels.reshape(-1, 4) for pixels, _, _ in pieces], (0, 4)),
        labels=_joined([labels.ravel() for _, labels, _ in pieces], (0,)),
    )


def _joined(parts: list[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(empty, np.uint8)
