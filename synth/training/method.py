"""The vocabulary of training: what a published method hands to the loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from data.pairs.batches import Batch, onehot

T = TypeVar("T")


class Palettes(Protocol):
    """A law of palettes: what layout methods are asked for."""

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        ...

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw n palettes, float32 `[n, C]`; the first n of a longer draw are the same."""
        ...


@dataclass(frozen=True)
class Given:
    """What every method is built for: number of classes, size (height, width), palettes.

    Painters are asked for no palettes and get None.
    """

    num_classes: int
    size: tuple[int, int]
    palettes: Palettes | None = None

    def wanted_palettes(self) -> Palettes:
        """Return the palettes, which every layout method is given."""
        assert self.palettes is not None, "layout methods are given palettes"
        return self.palettes


@dataclass(frozen=True)
class AdamConfig:
    """Adam of one network."""

    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class Span:
    """One stretch of a schedule: `num_images` shown in batches of `batch_size`.

    `level` is the resolution level of a growing network (0 for the others); with `fade` the
    level is blended in over the span.
    """

    num_images: int
    batch_size: int
    level: int = 0
    fade: bool = False


@dataclass(frozen=True)
class Progress:
    """Where training stands when a step begins.

    `images` have been shown of `total_images`; `alpha` in [0, 1] is how far the current level is
    blended in (1 outside a fade). `rng` is seeded by (seed, step): every random draw of a step
    comes from it, so that a resumed run draws what an uninterrupted one would have drawn. Several
    processes hold it alike: what is drawn for each pair of a batch is drawn through `rows`.
    """

    step: int
    images: int
    total_images: int
    level: int
    alpha: float
    rng: torch.Generator


@dataclass(frozen=True)
class Phase:
    """One backward pass.

    `loss` returns named, already weighted terms whose sum is descended; every forward pass lives
    inside it. `train` are the networks that receive gradient, the others are frozen. `step` are
    the optimizers stepped afterwards: None means `train`, () accumulates.
    """

    name: str
    loss: Callable[[], dict[str, Tensor]]
    train: tuple[str, ...]
    step: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Losses:
    """The losses of one step of an adversarial method, generator first, then critic.

    `generator` appends what its network made to `made`, with the gradient, and `critic` may judge
    that; so what a generator made can also be used by somebody else before its gradient is taken.
    A method without critics has no terms in `critic`.
    """

    generator: Callable[[], dict[str, Tensor]]
    critic: Callable[[], dict[str, Tensor]]
    made: list[Tensor]


@dataclass(frozen=True)
class Around:
    """The real pixels that a painted image keeps.

    `image` float32 `[B, 3, H, W]` in [-1, 1], and `mask` bool `[B, H, W]`, True where it stays.
    """

    image: Tensor
    mask: Tensor


@dataclass(frozen=True)
class PaintRequest:
    """Everything that a painter may look at; most look at `layout` alone.

    `layout` is labels int64 `[B, H, W]`, or soft `[B, C, H, W]` in a joint. `style` names the real
    looks to paint in, rows of the bank that the painter keeps, int64 `[B]`, or `[B, C]` for one of
    each class; or it is the looks themselves, float32 `[B, C, S]`. Where it is None, a painter that
    takes styles draws a row. `around` are real pixels that stay.
    """

    layout: Tensor
    style: Tensor | None = None
    around: Around | None = None

    def planes(self, num_classes: int) -> Tensor:
        """Return the layout `[B, C, H, W]`, one-hot where it is labels."""
        return onehot(self.layout, num_classes) if self.layout.dim() == 3 else self.layout


class Method(Protocol):
    """A published generator: its networks, its schedule, its phases and how to draw from it."""

    @property
    def nets(self) -> nn.ModuleDict:
        """All networks by name."""
        ...

    @property
    def optimizers(self) -> Mapping[str, AdamConfig]:
        """An entry per trained network."""
        ...

    @property
    def spans(self) -> tuple[Span, ...]:
        """The schedule."""
        ...

    @property
    def generators(self) -> tuple[str, ...]:
        """The networks that a joint trains too."""
        ...

    @property
    def critics(self) -> tuple[str, ...]:
        """Their critics, maybe none: saved in a file of their own, which production never reads."""
        ...

    @property
    def kept(self) -> Mapping[str, float]:
        """The networks that `sample` reads, saved as averages with this decay per step, 0 for none.

        The generators, and what else it needs, such as a bank of styles in buffers.
        """
        ...

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """Yield the phases of one step; a later one may reuse what an earlier one made."""
        ...

    def request(self, batch: Batch, rng: torch.Generator) -> Any:
        """Make from real pairs what `sample` is asked for; used to renew statistics."""
        ...

    def sample(
        self, nets: nn.ModuleDict, request: Any, rngs: Sequence[torch.Generator], /
    ) -> Tensor:
        """Draw `[B, ...]`, an item per generator; in eval mode none depends on its neighbours."""
        ...


class Painter(Method, Protocol):
    """A method that paints layouts, and whose losses take soft ones for a joint."""

    @property
    def given(self) -> Given:
        """What it was built for."""
        ...

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts `[B, C, H, W]` of the batch."""
        ...

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator], /
    ) -> Tensor:
        """Paint images `[B, 3, H, W]` in [-1, 1], float32, one generator each."""
        ...


def computed(function: Callable[[Any], T]) -> T:
    """Take a function of a method over as a property: `optimizers = computed(adam)`."""
    return property(function)  # pyright: ignore[reportReturnType]  # what an instance gives


@dataclass(frozen=True)
class Drawn:
    """Layouts of one batch of pairs.

    `label` int64 `[B, H, W]`; `target` the palettes asked for, `[B, C]`, or None; `edited` bool
    `[B, H, W]`, where the pair is not its parent's any more, or None. Where real objects were put
    into the parents: `image` uint8 `[B, 3, H, W]` with them, `behind` the same without them,
    `alpha` float32 `[B, H, W]`, how far a pixel is theirs, and `donors`, the rows of the real pairs
    that they, and the bands behind them, come from. `objects` bool `[B, H, W]` are the pixels of
    those classes that objects are moved of, whoever put them there.
    """

    label: Tensor
    target: Tensor | None
    edited: Tensor | None
    image: Tensor | None = None
    behind: Tensor | None = None
    alpha: Tensor | None = None
    donors: tuple[tuple[int, ...], ...] | None = None
    objects: Tensor | None = None

    def edits(self) -> Tensor:
        """Return `edited` of layouts that are edits of real ones."""
        assert self.edited is not None, "these layouts are made whole"
        return self.edited


class SharedGenerator(torch.Generator):
    """A generator that `count` processes of a training hold alike, this one as number `rank`."""

    rank: int = 0
    count: int = 1


def generator(
    *key: int, device: torch.device | str = "cpu", rank: int = 0, count: int = 1
) -> SharedGenerator:
    """Return a generator seeded by a tuple of non-negative integers, such as (seed, step)."""
    state = np.random.SeedSequence(key).generate_state(2, np.uint32)
    made = SharedGenerator(device)
    made.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
    made.rank, made.count = rank, count
    return made


def rows(rng: torch.Generator, num: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Draw something for each of the `num` pairs of a batch; `draw(n)` draws `[n, ...]` from `rng`.

    Where several processes share a batch, each draws for the whole of it and keeps its own rows:
    what a pair is given does not depend on how many processes there are.
    """
    if not isinstance(rng, SharedGenerator) or rng.count == 1:
        return draw(num)
    return draw(num * rng.count)[num * rng.rank : num * (rng.rank + 1)]


def noise(rng: torch.Generator, num: int, length: int) -> Tensor:
    """Draw standard normal noise `[num, length]` for the pairs of a batch."""
    return rows(rng, num, lambda n: torch.randn(n, length, generator=rng, device=rng.device))


def randn(rngs: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """Draw standard normal noise `[B, *shape]`, each item from its own generator."""
    return _each(torch.randn, rngs, shape)


def rand(rngs: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """Draw uniform numbers in [0, 1), `[B, *shape]`, each item from its own generator."""
    return _each(torch.rand, rngs, shape)


def _each(
    law: Callable[..., Tensor], rngs: Sequence[torch.Generator], shape: Sequence[int]
) -> Tensor:
    def draw(num: int) -> Tensor:
        turns = [*rngs] * (num // len(rngs))  # more than rngs only for one that is shared
        return torch.stack([law(*shape, generator=r, device=r.device) for r in turns])

    return rows(rngs[0], len(rngs), draw)
