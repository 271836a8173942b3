"""What to label next: classes that are missed and few pairs show, looks that no pair has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.pairs.pairset import PairSet
from data.sources.files import glob_files, read_image
from evaluate.metrics.copies import nearest
from evaluate.metrics.features import Eyes, in_deviations, see

BATCH = 16


@dataclass(frozen=True)
class WeakClass:
    """A class below the mean IoU: its IoU in percent, and in how many training pairs it is."""

    name: str
    iou: float
    pairs: int


@dataclass(frozen=True)
class Look:
    """An image unlike all training images: `times` as far from them as they are from each other.

    `group` is its video or scene, None without; an image that nobody labelled has none either.
    """

    name: str
    group: str | None
    labelled: bool
    times: float


@dataclass(frozen=True)
class Lacking:
    """What training pairs lack.

    `rare` are weak classes that few pairs show, `weakest` is the weakest of all; None where no
    image could be scored. `looks` are far images, those without masks first, the farthest first
    of each kind; `looked` says how many were looked at, 0 without a pretrained network.
    """

    rare: tuple[WeakClass, ...]
    weakest: WeakClass | None
    looks: tuple[Look, ...]
    looked: int
    num_pairs: int


def weak_classes(train: PairSet, ious: np.ndarray) -> list[WeakClass]:
    """Return the classes of mIoU below its mean, the weakest first; `ious` is `[C]`, percent."""
    shown = (train.column("palette") > 0).sum(axis=0)
    known = [k for k in train.classes.eval_ids if np.isfinite(ious[k])]
    if not known:
        return []
    mean = float(np.mean([ious[k] for k in known]))
    weak = sorted((k for k in known if ious[k] <= mean), key=lambda k: ious[k])
    return [
        WeakClass(train.classes.names[k], round(float(ious[k]), 2), int(shown[k])) for k in weak
    ]


def lacking(
    train: PairSet,
    val: PairSet,
    ious: np.ndarray,
    *,
    rare: float,
    num_named: int,
    eyes: Eyes | None,
    unlabelled: str | None,
) -> Lacking:
    """Find what training pairs lack, given the IoU of every class `[C]`."""
    weak = weak_classes(train, ious)
    few = [it for it in weak if it.pairs < rare * len(train)]
    found: list[Look] = []
    looked = 0
    if eyes is not None and len(train) > 1:
        found, looked = far_looks(train, val, eyes, unlabelled)
    kinds = ([it for it in found if it.labelled == kind][:num_named] for kind in (False, True))
    looks = tuple(look for kind in kinds for look in kind)
    return Lacking(tuple(few[:num_named]), weak[0] if weak else None, looks, looked, len(train))


def far_looks(
    train: PairSet, val: PairSet, eyes: Eyes, unlabelled: str | None
) -> tuple[list[Look], int]:
    """Return the images that are far from every training image, farthest first; how many there are.

    Far is what is farther from its nearest training image than any training image is from its own,
    those of its group left out; `times` compares with the median of these.
    """
    known = see(train, range(len(train)), eyes, batch_size=BATCH).pooled
    pooled = [see(val, range(len(val)), eyes, batch_size=BATCH).pooled]
    names = [
        (name, group or None, True) for name, group in zip(val.ids(), groups(val), strict=True)
    ]
    height, width = val.size
    for file in _files(unlabelled):
        image = read_image(file).resize((width, height), Image.Resampling.BICUBIC)
        maps = eyes.look(np.asarray(image)[None])
        pooled.append(np.concatenate([one.mean((2, 3)).numpy() for one in maps], axis=1))
        names.append((str(file), None, False))
    scale = in_deviations(known, known)
    own = np.asarray(groups(train), object)
    alike = own[:, None] == own
    if alike.all() or not any(own):
        alike = np.eye(len(own), dtype=bool)
    _, usual = nearest(scale, scale, alike)
    others = in_deviations(np.concatenate(pooled), known)
    _, distance = nearest(others, scale, np.zeros((len(others), len(scale)), bool))
    usual = usual[np.isfinite(usual)]
    limit, median = usual.max(), float(np.median(usual)) or 1.0
    order = [i for i in np.argsort(-distance, kind="stable") if distance[i] > limit]
    return [Look(*names[i], times=round(float(distance[i]) / median, 2)) for i in order], len(names)


def groups(pairs: PairSet) -> list[str]:
    """Return the group of every pair, empty for one without."""
    return [name or "" for name in pairs.column("group")]


def _files(pattern: str | None) -> Sequence[Path]:
    return [] if pattern is None else glob_files(Path(), pattern, "advise.unlabelled")
