"""A memory of real segments, and canvases composed of them (SIMS, Qi et al., CVPR 2018).

A segment is a connected region of one class in a training pair, with its pixels. For a region of a
layout those are found whose shape and surroundings agree best with its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy import ndimage
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from data.pairs.batches import Stream
from data.pairs.components import components
from data.stage.params import Params
from data.stage.progress import progress

SIDE = 16  # of shapes and surroundings as they are compared
AROUND = 0.25  # of the side of a box: what surrounds it on each side
OUTSIDE = 255  # the label around an image
BLOCK = 8  # pixels a side of what labels of whole images are compared by
PRINT = np.random.default_rng(0).integers(1, 2**62, BLOCK**2)  # of the labels of a block
DARK = 1.0  # levels of 255: the least deviation of colours that are transferred


class MemoryParams(Params):
    """The keys of a memory of segments, and of the canvases composed of them."""

    smallest: int = Field(ge=1)  # pixels of a segment
    per_class: int = Field(ge=1)
    size_weight: float = Field(ge=0)
    top: int = Field(ge=1)
    elision: int = Field(ge=0)  # pixels on both sides of a border


@dataclass(frozen=True)
class Segment:
    """A region of a label map: its class, the box it fills, and which pixels of that are its own.

    `shape` bool and `context` uint8, `[SIDE, SIDE]`, are how it is compared.
    """

    kind: int
    box: tuple[slice, slice]
    mask: np.ndarray
    area: int
    shape: np.ndarray
    context: np.ndarray


@dataclass(frozen=True)
class Found:
    """A segment of the memory at the size of another: pixels `[3, h, w]`, 0 to 255, and mask."""

    pixels: np.ndarray
    mask: np.ndarray


def segments(label: np.ndarray, num_classes: int, smallest: int) -> Iterator[Segment]:
    """Yield the segments of a label map uint8 `[H, W]`, large ones first: small ones lie above."""
    numbered, kinds = components(label, num_classes, corners=True)
    areas = np.bincount(numbered.ravel(), minlength=len(kinds) + 1)[1:]
    boxes = ndimage.find_objects(numbered)
    for place in np.argsort(-areas, kind="stable").tolist():
        if areas[place] < smallest:
            return
        rows, columns = boxes[place]
        mask = numbered[rows, columns] == place + 1
        height, width = mask.shape
        shape = mask[np.ix_(_grid(0, height), _grid(0, width))]
        more = (AROUND * height, AROUND * width)
        around = np.ix_(
            _grid(rows.start - more[0], rows.stop + more[0]),
            _grid(columns.start - more[1], columns.stop + more[1]),
        )
        inside = [(at >= 0) & (at < side) for at, side in zip(around, label.shape, strict=True)]
        clipped = tuple(at.clip(0, s - 1) for at, s in zip(around, label.shape, strict=True))
        context = np.where(inside[0] & inside[1], label[clipped], np.uint8(OUTSIDE))
        yield Segment(int(kinds[place]), (rows, columns), mask, int(areas[place]), shape, context)


def _grid(first: float, last: float) -> np.ndarray:
    return np.floor(first + (np.arange(SIDE) + 0.5) * (last - first) / SIDE).astype(np.int64)


class Memory(nn.Module):
    """The segments of training pairs, M of them, sorted by class; what is loaded decides how many.

    `pairs` `[N]` are rows of the set, `images` uint8 `[N, 3, H, W]`, `prints` int64 theirs as whole
    labels are compared. Of segments: `kind`, `place` of their pair among the N, `box` (top,
    left, bottom, right), `area`, `shapes` and `contexts` `[M, SIDE, SIDE]`, and their pixels bit by
    bit in `masks`, from bit `start` on.
    """

    NAMES = ("pairs", "images", "prints", "kind", "place", "box", "area", "shapes", "contexts")
    NAMES += ("start", "masks")

    def __init__(self) -> None:
        super().__init__()
        for name in self.NAMES:
            self.register_buffer(name, torch.zeros(0, dtype=torch.uint8))
        self._arrays: dict[str, np.ndarray] | None = None

    def fill(self, stream: Stream, num_classes: int, params: MemoryParams) -> None:
        """Hold the segments of all pairs of a stream, `per_class` of a class at most, spread."""
        labels, found = stream.labels.cpu().numpy(), []
        with progress(len(labels), "remembering segments", "pairs") as advance:
            for place, label in enumerate(labels):
                its = segments(label, num_classes, params.smallest)
                found += [(place, segment) for segment in its]
                advance()
        kinds = np.array([segment.kind for _, segment in found], np.int64)
        chosen = [found[number] for number in _spread(kinds, params.per_class)]
        self._put(chosen, stream)

    def _put(self, chosen: Sequence[tuple[int, Segment]], stream: Stream) -> None:
        its = [segment for _, segment in chosen]
        boxes = [(*(s.start for s in one.box), *(s.stop for s in one.box)) for one in its]
        sizes = np.array([one.mask.size for one in its], np.int64)
        bits = [one.mask.ravel() for one in its]
        tables = {
            "pairs": stream.rows.cpu().numpy(),
            "images": stream.images.cpu().numpy(),
            "prints": np.stack([_prints(label) for label in stream.labels.cpu().numpy()]),
            "kind": np.array([one.kind for one in its], np.int64),
            "place": np.array([place for place, _ in chosen], np.int64),
            "box": np.array(boxes, np.int64).reshape(-1, 4),
            "area": np.array([one.area for one in its], np.int64),
            "shapes": np.array([one.shape for one in its], np.uint8).reshape(-1, SIDE, SIDE),
            "contexts": np.array([one.context for one in its], np.uint8).reshape(-1, SIDE, SIDE),
            "start": np.append(0, sizes.cumsum())[: len(its)],
            "masks": np.packbits(np.concatenate([*bits, np.zeros(0, bool)])),
        }
        for name, table in tables.items():
            old = getattr(self, name)
            setattr(self, name, torch.from_numpy(np.array(table)).to(old.device))
        self._arrays = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in self.NAMES:
            if (its := state_dict.get(f"{prefix}{name}")) is not None:
                setattr(self, name, torch.zeros_like(its, device=getattr(self, name).device))
        self._arrays = None
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays in memory, copied there once."""
        if self._arrays is None:
            self._arrays = {name: content_of(getattr(self, name)) for name in self.NAMES}
        return self._arrays

    def own(self, row: int) -> np.ndarray:
        """Say which images are of a row of the set, bool `[N]`."""
        return self.arrays()["pairs"] == row

    def parents(self, label: np.ndarray) -> np.ndarray:
        """Say which images a label map uint8 `[H, W]` may come from, bool `[N]`.

        Those that share most blocks with it to the pixel, and half as many at least; blocks of one
        class tell nothing. A real layout shares all of them with its own image, and an edited one
        most; layouts of others share hardly any, also of the next frame of a video.
        """
        own, its = _prints(label), self.arrays()["prints"]
        if not len(its):
            return np.zeros(0, bool)
        shared = ((its == own) & (own != 0)).sum((1, 2))
        return shared >= max(1, shared.max() / 2)

    def find(
        self, like: Segment, without: np.ndarray, params: MemoryParams, rng: np.random.Generator
    ) -> Found | None:
        """Find a segment of a class that is shaped and surrounded like another, at its size.

        It is of no image `without`, bool `[N]`, and one of the `top` best; None where there is
        none. How well it fits: the IoU of shapes, that of surroundings, less `size_weight` times
        the logarithm of how much larger or smaller it is.
        """
        its = self.arrays()
        first, last = np.searchsorted(its["kind"], [like.kind, like.kind + 1])
        index = np.arange(first, last)
        index = index[~without[its["place"][index]]]
        if not len(index):
            return None
        shapes, contexts = its["shapes"][index] > 0, its["contexts"][index]
        fit = _iou((shapes & like.shape).sum((1, 2)), shapes.sum((1, 2)), like.shape.sum())
        inside = like.context != OUTSIDE
        same = ((contexts == like.context) & inside).sum((1, 2))
        fit += _iou(same, (contexts != OUTSIDE).sum((1, 2)), inside.sum())
        fit -= params.size_weight * np.abs(np.log(its["area"][index] / like.area))
        best = index[np.argsort(-fit, kind="stable")[: params.top]]
        return self._cut(int(best[rng.integers(len(best))]), like.mask.shape)

    def _cut(self, index: int, size: Sequence[int]) -> Found:
        its = self.arrays()
        top, left, bottom, right = its["box"][index].tolist()
        shape, start = (bottom - top, right - left), int(its["start"][index])
        bits = np.unpackbits(its["masks"][start // 8 : (start + shape[0] * shape[1]) // 8 + 1])
        mask = bits[start % 8 :][: shape[0] * shape[1]].reshape(shape).astype(np.float32)
        part = its["images"][its["place"][index], :, top:bottom, left:right].astype(np.float32)
        both = torch.from_numpy(np.concatenate([part, mask[None]]))[None]
        made = F.interpolate(both, list(size), mode="bilinear", antialias=True)[0].numpy()
        return Found(made[:3], made[3] >= 0.5)


def content_of(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array; zeros where it has no content, as when work is counted."""
    if isinstance(tensor, FakeTensor):
        return np.zeros(tuple(tensor.shape), np.uint8)
    return tensor.detach().cpu().numpy()


def _prints(label: np.ndarray) -> np.ndarray:
    """Return a number for each block of a label map that names its labels, 0 for a single class."""
    height, width = (side - side % BLOCK for side in label.shape)
    parts = label[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = parts.transpose(0, 2, 1, 3).reshape(height // BLOCK, width // BLOCK, BLOCK**2)
    plain = (blocks == blocks[..., :1]).all(-1)
    return np.where(plain, 0, (blocks * PRINT).sum(-1))


def _iou(both: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return both / np.maximum(one + other - both, 1)


def _spread(kinds: np.ndarray, most: int) -> list[int]:
    """Return the numbers of at most `most` segments of each class, sorted by class."""
    chosen = []
    for kind in np.unique(kinds):
        of_class = np.flatnonzero(kinds == kind)
        places = np.linspace(0, len(of_class) - 1, min(most, len(of_class))).round().astype(int)
        chosen += of_class[places].tolist()
    return chosen


# == canvases ==


class Canvas:
    """An image that is put together: pixels float32 `[3, H, W]`, 0 to 255, and which are known."""

    def __init__(self, size: Sequence[int]) -> None:
        self.pixels = np.zeros((3, *size), np.float32)
        self.known = np.zeros(tuple(size), bool)

    def put(self, box: tuple[slice, slice], pixels: np.ndarray, mask: np.ndarray) -> None:
        """Lay pixels `[3, h, w]` over a box where a mask bool `[h, w]` says so."""
        rows, columns = box
        self.pixels[:, rows, columns][:, mask] = pixels[:, mask]
        self.known[rows, columns] |= mask

    def elide(self, label: np.ndarray, width: int) -> None:
        """Forget the pixels within `width` of a border between classes of a label map `[H, W]`."""
        if not width:
            return
        near = np.ones((2 * width + 1, 2 * width + 1), bool)
        low, high = (
            f(label, footprint=near) for f in (ndimage.minimum_filter, ndimage.maximum_filter)
        )
        self.known &= low == high

    def tensor(self) -> Tensor:
        """Return pixels in [-1, 1], 0 where unknown, and which are known, float32 `[4, H, W]`."""
        shown = np.where(self.known, self.pixels / 127.5 - 1, 0)
        return torch.from_numpy(np.concatenate([shown, self.known[None]]).astype(np.float32))


def recoloured(pixels: np.ndarray, mask: np.ndarray, like: Found) -> np.ndarray:
    """Give pixels `[3, h, w]` the mean and deviation of colours of another segment.

    As in Reinhard et al. (2001), channel by channel, in RGB.
    """
    own, other = pixels[:, mask], like.pixels[:, like.mask]
    if not own.size or not other.size:
        return pixels
    ratio = (other.std(1) + DARK) / (own.std(1) + DARK)
    moved = (pixels - own.mean(1)[:, None, None]) * ratio[:, None, None]
    return (moved + other.mean(1)[:, None, None]).clip(0, 255)
