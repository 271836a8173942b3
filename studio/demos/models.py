"""What a demo is asked for, and the trained artifacts it runs from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data.pairs.batches import onehot
from data.pairs.classes import ClassTable
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet, Rows
from data.stage.errors import UserError
from data.stage.params import choose
from synth.layouts import LAYOUTS
from synth.layouts.common.activation import Activation
from synth.layouts.common.finish import finished
from synth.painters import PAINTERS
from synth.palettes.palette import PaletteModel
from synth.training import artifact
from synth.training.method import Given, PaintRequest, generator, randn

# Streams of random numbers of a demo; each draws from (seed, STREAM, number).
PALETTE, NOISE, BAND, PAINTER, PAIRS = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Request:
    """What the user asked for: artifacts by path, a seed, and how many frames an animation has.

    `remove` are class names, `add` target shares by class name; both are for the demo `edit`.
    """

    layout: Path
    painter: Path
    palette: Path
    real: Path
    seed: int
    frames: int
    remove: tuple[str, ...] = ()
    add: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Models:
    """Trained networks, in eval mode on the CPU, and the palettes they were trained with.

    `name` is the registry name of the layout method.
    """

    name: str
    classes: ClassTable
    size: tuple[int, int]
    layout: Any  # a `synth.training.method.Method`, with what growing layout methods have besides
    layout_nets: nn.ModuleDict
    painter: Any
    painter_nets: nn.ModuleDict
    palettes: PaletteModel
    seed: int

    def noise(self, number: int, count: int = 1) -> Tensor:
        """Draw layout noise `[count, n]`, the same for the same number."""
        rngs = [generator(self.seed, NOISE, number, item) for item in range(count)]
        return randn(rngs, (self.layout.noise_length,))

    def whole(self, z: Tensor, palette: Tensor) -> tuple[Tensor, Activation]:
        """Make whole layouts from noise and palettes `[B, C]`.

        Returns soft layouts `[B, C, H, W]` and the activation at the finest trained grid.
        """
        made = self.layout.whole(self.layout_nets, z, palette)
        return finished(made.soft, self.size, self.layout.config.cell), made

    def paint(self, label: Tensor) -> np.ndarray:
        """Paint labels int64 `[B, H, W]`, uint8 `[B, H, W, 3]`, all with the same noise."""
        rngs = [generator(self.seed, PAINTER, 0) for _ in label]
        images = self.painter.sample(self.painter_nets, PaintRequest(label), rngs)
        pixels = ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()
        return pixels.permute(0, 2, 3, 1).numpy()

    def color(self, label: Tensor) -> np.ndarray:
        """Show labels `[B, H, W]` in class colours, uint8 `[B, H, W, 3]`."""
        return self.classes.colorize(label.numpy())

    def shares(self, label: Tensor) -> np.ndarray:
        """Return the share of each class in labels `[B, H, W]`, float32 `[B, C]`."""
        return onehot(label, self.classes.num_classes).mean((2, 3)).numpy()


def load(request: Request, allowed: Sequence[str]) -> Models:
    """Load the artifacts of a request; `allowed` are the layout methods that the demo can show.

    Raises `UserError` for a folder without a trained method, naming those beside it, for another
    method, and for artifacts of different classes or sizes.
    """
    described, painted = _describe(request.layout), _describe(request.painter)
    if described.method not in allowed:
        raise UserError(
            f"{request.layout} holds {described.name!r}, this demo shows {', '.join(allowed)}; "
            "name an artifact of one of these with --layout"
        )
    layouts = choose(described.method, LAYOUTS, "layout method")
    paints = choose(painted.method, PAINTERS, "painter")
    if paints.build is None:
        raise UserError(f"{request.painter} paints nothing; name a trained painter with --painter")
    palettes = PaletteModel.load(request.palette)
    if (painted.classes, painted.size) != (described.classes, described.size):
        raise UserError(_differ(request.painter, request.layout))
    if palettes.num_classes != described.classes.num_classes:
        raise UserError(_differ(request.palette, request.layout))
    given = Given(described.classes.num_classes, described.size, palettes)
    layout, layout_nets = artifact.load(request.layout, layouts, given)
    painter, painter_nets = artifact.load(request.painter, paints, given)
    return Models(
        name=described.method,
        classes=described.classes,
        size=described.size,
        layout=layout,
        layout_nets=layout_nets,
        painter=painter,
        painter_nets=painter_nets,
        palettes=palettes,
        seed=request.seed,
    )


def follow_palettes() -> list[str]:
    """Return the names of the layout methods that make whole layouts from a palette."""
    return [name for name, entry in LAYOUTS.items() if entry.makes_whole]


def editors() -> list[str]:
    """Return the names of the layout methods that edit real layouts."""
    return [name for name, entry in LAYOUTS.items() if entry.edits]


def open_real(request: Request, models: Models) -> PairSet:
    """Open the real pairs of a request; they must have the classes and size of the models."""
    pairs = PairSet(request.real)
    if (pairs.classes, pairs.size) != (models.classes, models.size):
        raise UserError(_differ(request.real, request.layout))
    return pairs


def choose_pairs(pairs: PairSet, rows: Rows, count: int, seed: int) -> list[Pair]:
    """Draw up to `count` of the given rows and return their pairs."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, PAIRS]))
    return list(pairs.pairs(rng.permutation(rows)[:count]))


def labels_of(pairs: Sequence[Pair]) -> Tensor:
    """Stack the labels of pairs, int64 `[B, H, W]`."""
    return torch.from_numpy(np.stack([pair.label for pair in pairs]).astype(np.int64))


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Go from noise `a` to `b` `[B, n]` along the great circle; the length changes linearly.

    Gaussian noise of n numbers is nearly always sqrt(n) long; half-way on a straight line it is
    0.7 of that. The generator divides noise and palette by one common length, so shorter noise
    would make the palette count more: not only the noise would change.
    """
    lengths = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    one, two = a / lengths[0], b / lengths[1]
    angle = (one * two).sum(1, keepdim=True).clamp(-1, 1).acos().clamp_min(1e-6)
    direction = (torch.sin((1 - t) * angle) * one + torch.sin(t * angle) * two) / torch.sin(angle)
    return direction * torch.lerp(*lengths, t)


def _describe(path: Path) -> artifact.Description:
    if not (path / artifact.DESCRIPTION).is_file():
        there = sorted(found.parent.name for found in path.parent.glob(f"*/{artifact.DESCRIPTION}"))
        raise UserError(
            f"{path} holds no trained method; {path.parent} has {', '.join(there) or 'none'}; "
            "train it, or name another one"
        )
    return artifact.describe(path)


def _differ(one: Path, other: Path) -> str:
    return f"{one} and {other} have different classes or sizes; use artifacts of one dataset"
