"""Compare the training loop with a plain one in float32, on the same networks and batches.

`make bench-train` writes the table of `docs/benchmarks.md`.
"""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bench.record import machine, streets_set, write_section
from data.pairs.batches import Batch, Stream, load_stream
from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.compute import Compute, default_device
from data.stage.params import read, read_raw
from data.stage.progress import progress
from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.palettes.palette import PaletteParams, fit
from synth.training import ema, loop
from synth.training.method import Given, Method, Phase, Progress, generator
from synth.training.plan import Plan
from synth.training.session import TrainingParams

NUM_PAIRS = 64
LAYOUT, PAINTER = "semantic_palette", "spade"
SHORTER = {LAYOUT: 10, PAINTER: 60}  # how many times fewer images than a training shows
ROUNDS = 3

PLAIN = "plain loop, fp32"
EXACT = "this loop, fp32"
FAST = "this loop, bf16"
PARTS = ("generator", "critic", "data")


@dataclass
class Watched:
    """A method and its stream that tell who takes how long, and else are what they were."""

    method: Any
    stream: Stream
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    began: list[tuple[float, float]] = field(default_factory=list)  # wall and processor, per batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def batch(self, position: int, size: int) -> Batch:
        """Return the next batch."""
        began = time.perf_counter()
        self.began.append((began, time.process_time()))
        found = self.stream.batch(position, size)
        self.spent["data"] += time.perf_counter() - began
        return found

    def phases(self, batch: Batch, now: Progress) -> Iterator[Phase]:
        """Yield the phases; until the loop asks for the next one it works on this one."""
        for phase, part in zip(self.method.phases(batch, now), PARTS, strict=False):
            began = time.perf_counter()
            yield phase
            self.spent[part] += time.perf_counter() - began


@dataclass(frozen=True)
class Run:
    """One training: seconds and seconds of processor time per thousand images, shares of a part."""

    seconds: float
    cost: float
    shares: dict[str, float]


def main(*, out: Path = Path("docs/benchmarks.md"), threads: int = 1) -> None:
    """Measure seconds per thousand images of both loops and write the table into a page."""
    torch.set_num_threads(threads)
    began = os.getloadavg()[0]
    size = (read_raw("dataset.height"), read_raw("dataset.width"))
    ways = {PLAIN: plain, EXACT: exact, FAST: fast}
    found: dict[str, dict[str, list[Run]]] = {}
    total = NUM_PAIRS + len(SHORTER) * ROUNDS * len(ways)
    with (
        tempfile.TemporaryDirectory() as folder,
        progress(total, "bench-train", "steps") as advance,
    ):
        real = streets_set(Path(folder, "set"), size, NUM_PAIRS, advance)
        stream = load_stream(real, seed=0, flip=True)
        for name, method in methods(real).items():
            runs: dict[str, list[Run]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, train in ways.items():
                    runs[way].append(timed(train, deepcopy(method), stream))
                    advance()
            found[name] = runs
    write_section(out, "bench-train", page(found, began, size, threads))


def methods(real: PairSet) -> dict[str, Method]:
    """Build both methods with the numbers of params.yaml and schedules that are `SHORTER`."""
    shares = real.column("palette")
    params = read("palette", PaletteParams)
    palettes, _ = fit(shares, params, min_share=0.5 / (real.size[0] * real.size[1]))
    given = Given(real.classes.num_classes, real.size, palettes)
    layout, painter = LAYOUTS[LAYOUT], PAINTERS[PAINTER]
    torch.manual_seed(0)
    assert layout.build and painter.build
    built = {
        LAYOUT: layout.build(read(f"layouts.{LAYOUT}", layout.Config), given),
        PAINTER: painter.build(read(f"painters.{PAINTER}", painter.Config), given),
    }
    return {name: shortened(method, SHORTER[name]) for name, method in built.items()}


def shortened(method: Any, times: int) -> Any:
    """Return a method whose spans show so many times fewer images, in whole batches."""
    return replace(
        method,
        spans=tuple(replace(s, num_images=math.ceil(s.num_images / times)) for s in method.spans),
    )


def timed(train: Callable[[Watched], Any], method: Any, stream: Stream) -> Run:
    """Run one training and time its steps, without what comes before the first or after the last.

    A later batch belongs to the renewal of statistics, which is not a step.
    """
    watched = Watched(method, stream)
    train(watched)
    now = (time.perf_counter(), time.process_time())
    plan = Plan(method.spans)
    marks = [*watched.began, now]
    wall, cost = (marks[plan.num_steps][i] - marks[0][i] for i in range(2))
    shares = {part: watched.spent[part] / wall for part in PARTS}
    return Run(1000 * wall / plan.num_images, 1000 * cost / plan.num_images, shares)


def plain(watched: Watched) -> None:
    """Train as published code does: float32, one weight and one number at a time."""
    device = default_device()
    nets = watched.nets.to(device)
    averaged = ema.averaged_copy(nets, watched.kept)
    optimizers = {
        name: torch.optim.Adam(nets[name].parameters(), lr=c.lr, betas=c.betas, foreach=False)
        for name, c in watched.optimizers.items()
    }
    plan, curve = Plan(watched.spans), []
    for step in range(plan.num_steps):
        span, images, fraction = plan.at(step)
        rng = generator(0, loop.STEP, step, device=device)
        alpha = fraction if span.fade else 1.0
        now = Progress(step, images, plan.num_images, span.level, alpha, rng)
        batch = watched.batch(images, span.batch_size)
        batch = Batch(*(tensor.to(device) for tensor in vars(batch).values()))
        nets.train()
        for phase in watched.phases(batch, now):
            for name, net in nets.items():
                net.requires_grad_(name in phase.train)
            terms = phase.loss()
            for name in phase.train:
                optimizers[name].zero_grad()
            reduce(add, terms.values()).backward()
            for name in phase.train:
                optimizers[name].step()
            curve.append({name: term.item() for name, term in terms.items()})
        ema.update(averaged, nets, watched.kept, step)


def exact(watched: Watched) -> None:
    """Train as the stages do, in float32."""
    ours(watched, bf16=False)


def fast(watched: Watched) -> None:
    """Train as the stages do."""
    ours(watched, bf16=True)


def ours(watched: Any, *, bf16: bool) -> None:
    """Train in the loop of the stages, checkpoints and progress included."""
    chosen = Compute(default_device().type, "bf16" if bf16 else "fp32", True, 1)
    options = read("training", TrainingParams).options(chosen)
    with tempfile.TemporaryDirectory() as folder:
        loop.train(
            watched,
            watched,  # it is its own stream
            seed=0,
            checkpoint_dir=Path(folder),
            label="bench-train",
            device=default_device(),
            options=options,
        )


def page(
    found: dict[str, dict[str, list[Run]]], load: float, size: tuple[int, int], threads: int
) -> str:
    """Return the section of the page."""
    lines = [
        "## Training",
        "",
        "    make bench-train",
        "",
        machine(load, ("torch",)),
        "",
        f"The networks and batch sizes of `params.yaml` at {size[0]}x{size[1]}, 35 classes, "
        f"{threads} thread(s), every span of the schedule "
        + " and ".join(f"{times} times shorter for `{name}`" for name, times in SHORTER.items())
        + ". The plain loop is what published code does: float32, PyTorch's memory layout, Adam "
        "weight by weight, every loss read by itself; its batches come from memory like ours. "
        f"Medians of {ROUNDS} rounds in which the ways take turns; ratios are taken within a "
        "round, of wall time and of processor time, which is blind to how busy the machine is. "
        "Shares are of the wall time of all steps; the rest are averages of weights, curve, "
        "progress and checkpoints.",
        "",
        "| method | way | s / 1,000 images | ratio | CPU s / 1,000 | ratio | generator | critic "
        "| data | rest |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *table(found),
    ]
    return "\n".join(lines)


def table(found: dict[str, dict[str, list[Run]]]) -> Iterator[str]:
    """Yield the lines of the table."""
    for name, runs in found.items():
        for way, its in runs.items():
            beside = list(zip(its, runs[PLAIN], strict=True))
            seconds = median([one.seconds for one in its])
            cost = median([one.cost for one in its])
            ratio = median([one.seconds / other.seconds for one, other in beside])
            of_cost = median([one.cost / other.cost for one, other in beside])
            shares = [100 * median([one.shares[part] for one in its]) for part in PARTS]
            rest = 100 * median([1 - sum(one.shares.values()) for one in its])
            yield (
                f"| `{name}` | {way} | {seconds:.1f} | {ratio:.2f} | {cost:.1f} | {of_cost:.2f} | "
                + " | ".join(f"{share:.1f} %" for share in [*shares, rest])
                + " |"
            )


if __name__ == "__main__":
    run(main)
