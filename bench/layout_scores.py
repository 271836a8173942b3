"""Scores of layouts beside those of real ones, for `bench.layouts`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data.pairs.classes import ClassTable
from data.pairs.pair import palette_of
from data.pairs.pairset import PairSet
from evaluate.metrics import components, presence
from evaluate.metrics.copies import PERCENTILE
from evaluate.metrics.frechet import frechet
from evaluate.metrics.kl import kl
from evaluate.statistics import evenly
from synth.layouts import LAYOUTS
from synth.layouts.common.editing import with_hole
from synth.layouts.common.edits import NUM_CANDIDATES, fitting
from synth.layouts.common.finish import finished
from synth.layouts.common.losses import blurred_layout
from synth.layouts.common.masks import band_of, remove, shares
from synth.layouts.common.rounding import round_layout
from synth.nets.features import Features
from synth.training.method import Palettes, generator, rand, randn

Numbers = dict[str, Any]  # None where there is none
Labels = Sequence[np.ndarray] | np.ndarray

NUM_DRAWN = 192  # layouts that are looked at
# Whole layouts whose palettes are counted: of 192, chance alone leaves out a class by 5 points.
NUM_COUNTED = 1024
BATCH = 16
BANDS = (0.15, 0.5)
TAP = 3  # of the features: those at stride 16

# What a number is called in the table, and how many digits it has.
COLUMNS = {
    "minutes": ("minutes", 1),
    "images": ("images", 0),
    "kl_argmax": ("KL of the argmax", 3),
    "kl": ("KL", 3),
    "presence": ("presence, points", 1),
    "presence_kl": ("its KL", 3),
    "presence_asked": ("as asked, points", 1),
    "sizes": ("sizes, octaves", 2),
    "edges": ("lower edges, %", 1),
    "noises": ("two noises, %", 1),
    "draws": ("two draws, %", 1),
    "excluded": ("not asked for, %", 2),
    "survives": ("thinnest class, IoU", 2),
    "frechet": ("Frechet", 2),
    "copies": ("copies, %", 1),
}


def of_whole(
    name: str, method: Any, nets: nn.ModuleDict, real: PairSet, palettes: Palettes
) -> tuple[Numbers, Labels]:
    """Score a method that makes whole layouts, each from its own noise and palette; return them.

    Palettes are of NUM_COUNTED layouts, all else is of the first NUM_DRAWN. `presence_asked` is the
    presence of the palettes that were asked for: what no generator gets below by obeying.
    """
    entry, labels = LAYOUTS[name], real.labels(range(len(real)))
    count, theirs = real.classes.num_classes, real.column("palette")
    asked = palettes.sample(NUM_COUNTED, 0)
    drawing = entry.draw
    assert drawing is not None, "a method that makes whole layouts draws"

    def draw(items: range) -> Tensor:
        rngs = [generator(0, item) for item in items]
        palette = torch.from_numpy(asked[items.start : items.stop])
        some = torch.from_numpy(labels[np.arange(len(items)) % len(labels)]).long()
        return drawing(method, nets, palette=palette, real=some, rngs=rngs).label

    counted = in_batches(draw, NUM_COUNTED).numpy().astype(np.uint8)
    drawn, ours = counted[:NUM_DRAWN], palette_of(counted, count)
    found = like_real(drawn, labels, real.classes) | entry.measures(method, nets, real)
    found |= present(ours, theirs)
    if entry.follows_palette:
        found["presence_asked"] = present(asked, theirs)["presence"]
        found["kl"] = float(kl(asked, ours).mean())
    if entry.makes_whole:
        found["survives"] = float(
            surviving(method, labels[evenly(range(len(labels)), NUM_DRAWN)]).min()
        )
    found["draws"] = 100 * float((drawn != np.roll(drawn, 1, axis=0)).mean())
    found["frechet"] = frechet(described(drawn, real.classes), described(labels, real.classes))
    found["copies"] = copied(drawn, labels, real.column("group"))
    return found, [*drawn]


def of_edits(method: Any, nets: nn.ModuleDict, real: PairSet) -> tuple[Numbers, Labels]:
    """Score a method that makes bands of real layouts anew, by the pixels of these bands alone.

    `noises` is how much two bands differ of one request and two noises, `draws` of two requests:
    each is asked for what another real layout has there. `excluded` are pixels of classes that were
    not asked for. Return layouts as they were and made twice, three by three.
    """
    rows = evenly(range(len(real)), NUM_DRAWN)
    was, every = (torch.from_numpy(real.labels(them)) for them in (rows, range(len(real))))
    places = torch.cat([rand([generator(1, item)], (2,)) for item in range(len(was))])
    hole = band_of(places, real.size, BANDS)

    def made(stream: int, *, anew: bool) -> Tensor:
        def draw(items: range) -> Tensor:
            rngs = [generator(2 + stream, item) for item in items]
            label, here = was[items].long(), hole[items]
            z = randn(rngs, (method.noise_length,))
            like = None
            if anew:
                chosen = (rand(rngs, (NUM_CANDIDATES,)) * len(every)).long()
                like = fitting(label, here, every[chosen].long())
            return with_hole(method, nets, real=label, hole=here, z=z, like=like).label

        return in_batches(draw, len(was))

    (one, other), (first, second) = ([made(n, anew=anew) for n in (0, 1)] for anew in (False, True))
    found = like_real(bands(first, hole), bands(was, hole), real.classes)
    found["noises"] = 100 * differing(one, other, hole)
    found["draws"] = 100 * differing(first, second, hole)
    found["excluded"] = 100 * excluded(one, was, hole, real.classes.num_classes)
    found["survives"] = float(surviving(method, was.numpy()).min())
    return found, [*torch.stack([was, first, second], 1).flatten(0, 1).byte().numpy()]


def yardsticks(real: PairSet) -> tuple[Numbers, Numbers]:
    """Return what real layouts of one group score beside the others: whole, and by their bands."""
    labels, groups = real.labels(range(len(real))), np.asarray(real.column("group"))
    if len(set(groups.tolist())) < 2:
        groups = np.arange(len(labels)) * 2 // len(labels)
    whole, parts = [], []
    for name in np.unique(groups):
        mine, others = labels[groups == name], labels[groups != name]
        found = like_real(mine, others, real.classes)
        found["draws"] = 100 * float((mine != np.roll(mine, 1, axis=0)).mean())
        found["frechet"] = frechet(*(described(them, real.classes) for them in (mine, others)))
        whole.append(found)
        two = (torch.from_numpy(them[np.arange(NUM_DRAWN) % len(them)]) for them in (mine, others))
        places = torch.cat([rand([generator(1, item)], (2,)) for item in range(NUM_DRAWN)])
        one, other = two
        hole = band_of(places, real.size, BANDS)
        found = like_real(bands(one, hole), bands(other, hole), real.classes)
        parts.append(found | {"noises": 100 * differing(one, other, hole)})
    return _mean(whole), _mean(parts)


def like_real(made: Labels, real: Labels, classes: ClassTable) -> Numbers:
    """Compare how often classes occur, and sizes and places of regions; labels are `[h, w]`."""
    count = classes.num_classes
    ours, theirs = (
        np.stack([palette_of(label[None], count)[0] for label in labels]) for labels in (made, real)
    )
    far = components.distances(components.pieces(made, count), components.pieces(real, count))
    sizes, edges = zip(*far.values(), strict=True) if far else ((0.0,), (0.0,))
    return {
        **present(ours, theirs),
        "sizes": float(np.mean(sizes)),
        "edges": float(np.mean(edges)),
    }


def present(ours: np.ndarray, theirs: np.ndarray) -> Numbers:
    """Compare how often classes occur in palettes `[N, C]`, percentage points and nats."""
    return {
        "presence": float(np.abs(presence.gap(ours, theirs)).max()),
        "presence_kl": presence.divergence(ours, theirs),
    }


def surviving(method: Any, labels: np.ndarray) -> np.ndarray:
    """Return the IoU of each class of real labels `[N, H, W]` with what a method makes of them.

    They are reduced to the finest layouts that it is trained on, as its critic sees them, enlarged
    and rounded to their palettes: no training lifts a class above that. Only classes that occur.
    """
    count, label = method.given.num_classes, torch.from_numpy(labels).long()
    made = []
    for part in label.split(BATCH):
        soft = blurred_layout(part, count, method.sizes[-1], method.config.blur)
        full = finished(soft, method.given.size, method.config.cell)
        made.append(round_layout(full, shares(part, count), method.config.rounding))
    same = torch.cat(made)
    both, one, other = (
        torch.bincount(part.flatten(), minlength=count + 1)[:count]
        for part in (torch.where(same == label, label, count), same, label)
    )
    return (both / (one + other - both))[other > 0].numpy()


def bands(labels: Tensor, hole: Tensor) -> Labels:
    """Cut the bands `hole` out of labels `[N, H, W]`."""
    pairs = zip(labels.byte().numpy(), hole[:, 0].numpy(), strict=True)
    return [label[:, columns] for label, columns in pairs]


def differing(one: Tensor, other: Tensor, hole: Tensor) -> float:
    """Return the fraction of a hole's pixels that have another class, a mean over holes."""
    apart = (one != other) & hole
    return float((apart.sum((1, 2)) / hole.sum((1, 2))).mean())


def excluded(made: Tensor, was: Tensor, hole: Tensor, num_classes: int) -> float:
    """Return the fraction of a hole's pixels whose class was not asked for, in all holes."""
    asked = remove(was.long(), hole, num_classes).share[:, :-1] > 0
    there = asked.gather(1, made.long().flatten(1)).view_as(made)
    return float((~there & hole).sum() / hole.sum())


def described(labels: Labels, classes: ClassTable) -> np.ndarray:
    """Return features `[N, D]` of labels in class colours: means over an ImageNet network's."""
    net = Features("efficientnet_lite0")

    def features(items: range) -> Tensor:
        shown = classes.colorize(np.stack([labels[item] for item in items]))
        images = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1
        return net(images, TAP + 1)[TAP].mean((2, 3))

    return in_batches(features, len(labels)).numpy()


def copied(made: np.ndarray, real: np.ndarray, groups: Sequence[str | None]) -> float | None:
    """Return the percentage of layouts nearer to a real one than 99 of 100 of other groups are.

    By the fraction of pixels that differ; None where there are no two groups.
    """
    from scipy.spatial.distance import cdist

    names = np.asarray([name or "" for name in groups])
    if len(set(names.tolist())) < 2:
        return None
    ours, theirs = (part.reshape(len(part), -1)[:, ::4] for part in (made, real))
    apart = cdist(theirs, theirs, "hamming")
    apart[names[:, None] == names] = np.inf
    limit = np.percentile(apart.min(1), PERCENTILE)
    return 100 * float((cdist(ours, theirs, "hamming").min(1) < limit).mean())


def in_batches(draw: Callable[[range], Tensor], count: int) -> Tensor:
    """Call `draw` for ranges of a few items, and join what it returns."""
    starts = range(0, count, BATCH)
    return torch.cat([draw(range(first, min(first + BATCH, count))) for first in starts])


def _mean(found: Sequence[Mapping[str, float]]) -> Numbers:
    return {key: float(np.mean([it[key] for it in found])) for key in found[0]}
