"""Streets whose objects follow laws that are known, and layouts with objects put into them."""

import numpy as np
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from synth.layouts import transplant
from synth.layouts.common.entry import Material
from synth.training.method import generator
from tests.synth import small

SIZE = (48, 64)
NAMES = ("road", "sky", "car", "sign", "void")
ROAD, SKY, CAR, SIGN, VOID = range(5)
CLASSES = ClassTable(tuple(ClassInfo(name, (9, 9, 9), name != "void") for name in NAMES))
PIXELS = SIZE[0] * SIZE[1]
# Colours by class; objects differ by pair, so that each pixel tells where it came from.
COLOURS = np.array([(90, 90, 90), (150, 180, 250), (200, 40, 40), (40, 200, 40), (0, 0, 0)])


def car_area(row):
    """Pixels of a car whose last row is at a fraction of the height: the law of these scenes."""
    return PIXELS * np.exp(-8.5 + 5.0 * row)


def street(index, finer_by=1):
    """A road under a sky, cars as large as their row says, sometimes a sign in the sky."""
    height, width = SIZE[0] * finer_by, SIZE[1] * finer_by
    rng = np.random.default_rng(index)
    label = np.full((height, width), SKY, np.uint8)
    label[height // 2 :] = ROAD
    row = rng.uniform(0.65, 0.95)
    tall = round(np.sqrt(car_area(row) / 2) * finer_by)
    bottom, left = round(row * height), int(rng.integers(2, width - 2 * tall - 2))
    label[bottom - tall : bottom, left : left + 2 * tall] = CAR
    if index % 3 == 0:
        top, left = int(rng.integers(2, 8)) * finer_by, int(rng.integers(2, 55)) * finer_by
        label[top : top + 4 * finer_by, left : left + 4 * finer_by] = SIGN
    image = COLOURS[label] + rng.integers(-5, 6, 3)
    return Pair(f"street-{index}", image.clip(0, 255).astype(np.uint8), label, "real")


def write(out, pairs, classes=CLASSES):
    size = pairs[0].label.shape
    with ShardWriter(out, classes=classes, size=size, fingerprint="f") as writer:
        for pair in pairs:
            writer.write(pair)
    return PairSet(out)


def config(**changes):
    return small.config("transplant", **{"min_pixels": 4, "largest": 0.2} | changes)


def fitted(real, detail=None, **changes):
    numbers = config(**changes)
    bank = transplant.fit(numbers, Material(real, detail or real, flip=True))
    return transplant.load(numbers, bank.tensors())


def compose(method, real, indices, asked=None, seed=0):
    """Draw the pairs of some indices, one batch; parents are their rows."""
    rows = [index % len(real) for index in indices]
    shares = real.column("palette")[rows] if asked is None else asked
    return method.compose(
        palette=torch.as_tensor(np.asarray(shares, np.float32)),
        label=torch.from_numpy(real.labels(rows)).long(),
        image=torch.from_numpy(real.images(rows)).permute(0, 3, 1, 2),
        rows=rows,
        rngs=[generator(seed, index) for index in indices],
    )


def wanted(real, rows, **more):
    """Real palettes with more of some classes, taken from the road."""
    shares = real.column("palette")[rows].copy()
    for name, share in more.items():
        shares[:, NAMES.index(name)] += share
        shares[:, ROAD] -= share
    return shares
