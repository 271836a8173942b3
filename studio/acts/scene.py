"""Palette to scene: the pair that production would make of the same palette and dice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from studio.shelf import Shelf
from studio.state import MOST_INDEX, Scene, digest
from synth.making.drawing import Dice, paint_dice
from synth.making.sets import ReadySet
from synth.palettes.controls import Controls, control

NUM_VARIANTS = 12
TRACE = 1e-6
NUM_DRAWN, RARE = 256, 0.02  # palettes of the law, and which of them are rare


@dataclass(frozen=True)
class Made:
    """A pair, the palette `asked` `[C]` that it was made of, and what is strange about that."""

    pair: Pair
    asked: np.ndarray
    warnings: tuple[str, ...]


def ready_of(shelf: Shelf, scene: Scene, name: str = "studio") -> ReadySet:
    """Return the set that a scene is a pair of, called `name`.

    Raises `UserError` for what is not trained, for unknown classes and pairs, and for shares that
    leave no room.
    """
    ready = shelf.ready(scene.layouts, scene.painter, scene.style)
    controls = Controls(absent=scene.absent, exactly=scene.exactly)
    if controls != Controls():
        real = ready.real
        asked = control(controls, real.classes, ready.palettes, real.column("palette"))
        ready = replace(ready, control=asked)
    if scene.look is not None and ready.looks is not None:
        ready = replace(ready, looks=replace(ready.looks, row=shelf.row_of(scene.look)))
    return replace(ready, name=name)


def show(shelf: Shelf, scene: Scene) -> Made:
    """Make the pair of a scene alone, for the eye: a batch of one may round a few pixels apart."""
    ready = ready_of(shelf, scene)
    pair = paint_dice(ready, [scene.dice.dice()], scene.seed).pair(0)
    return Made(pair, target_of(pair), tuple(warnings(ready, target_of(pair))))


def variants(shelf: Shelf, scene: Scene) -> list[tuple[Scene, Pair]]:
    """Make a scene with twelve other noises and looks at once; the palette stays."""
    dice = [
        scene.dice.model_copy(update=dict.fromkeys(("layout", "painter", "style"), number))
        for number in _following(scene.dice.layout)
    ]
    painted = paint_dice(ready_of(shelf, scene), [one.dice() for one in dice], scene.seed)
    return [
        (scene.model_copy(update={"dice": one}), painted.pair(slot))
        for slot, one in enumerate(dice)
    ]


def produced(shelf: Shelf, scene: Scene, name: str) -> Pair:
    """Make the pair of a scene as `produce` does, in a batch of its size, at its place there.

    With dice that are alike it is that pair of a set of these layouts, painter, controls and style,
    byte for byte; the other pairs of the batch are those of that set, and left out.
    """
    ready, size = ready_of(shelf, scene, name), shelf.numbers.batch_size
    first = scene.dice.layout // size * size
    dice = [Dice.alike(index) for index in range(first, first + size)]
    dice[scene.dice.layout - first] = scene.dice.dice()
    pair = paint_dice(ready, dice, scene.seed).pair(scene.dice.layout - first)
    return replace(pair, id=f"{name}-{digest(scene)}")


def target_of(pair: Pair) -> np.ndarray:
    """Return the palette that a pair was asked for."""
    assert pair.target is not None, "layouts that follow a palette say which"
    return pair.target


def warnings(ready: ReadySet, asked: np.ndarray) -> list[str]:
    """Say what real palettes do not do: classes that none shows, and shares unlike all of them.

    Likelihood is that of the mixture of palettes; it is compared with the least likely real one and
    with what the law itself draws, for a mixture of few pairs knows these by heart.
    """
    real = ready.real.column("palette").astype(np.float64)
    names = ready.real.classes.names
    unseen = [names[i] for i in np.flatnonzero((asked > TRACE) & (real.max(0) <= 0))]
    said = [f"no real pair shows {', '.join(unseen)}"] if unseen else []
    drawn = ready.palettes.sample(NUM_DRAWN, 0).astype(np.float64)
    usual = np.quantile(ready.palettes.log_density(drawn), RARE)
    lowest = min(float(usual), float(ready.palettes.log_density(real).min()))
    if ready.palettes.log_density(asked[None].astype(np.float64))[0] < lowest:
        high, low = _beyond(names, asked, real)
        facts = [f"{what} {', '.join(found)}" for what, found in (("more", high), ("less", low))]
        facts = [fact for fact in facts if not fact.endswith(" ")]
        beyond = f" ({'; '.join(facts)} than any)" if facts else ""
        said.append(f"this palette is unlike real ones{beyond}")
    return said


def _beyond(names: Sequence[str], asked: np.ndarray, real: np.ndarray) -> tuple[list, list]:
    away = np.maximum(asked - real.max(0), real.min(0) - asked)
    order = [int(i) for i in np.argsort(-away) if away[i] > 1e-3][:3]
    high = [names[i] for i in order if asked[i] > real[:, i].max()]
    return high, [names[i] for i in order if asked[i] < real[:, i].min()]


def _following(index: int) -> list[int]:
    return [(index + 1 + number) % (MOST_INDEX + 1) for number in range(NUM_VARIANTS)]


def shares_of(pairs: PairSet, label: np.ndarray) -> np.ndarray:
    """Return the share of each class in a label `[H, W]`, float64 `[C]`."""
    counts = np.bincount(label.ravel(), minlength=256)[: pairs.classes.num_classes]
    return counts / label.size
