"""Say about how long params.yaml will take on this machine: `python -m bench.estimate`.

Three steps of every span of every training, three iterations of the segmenter and one batch of
every set are timed on pairs without content, for the stages that DVC would run; and how much slower
stages are beside each other.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvc.repo import Repo

from bench.cost.operations import dataset
from bench.cost.synth import FAMILIES, even_palettes
from bench.schedule import contention, makespan
from data.pairs.batches import Batch, Stream, load_stream
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from data.pairs.shards import ShardWriter
from data.stage.cli import run
from data.stage.compute import Compute, ComputeParams, begin, busy, choose, default_device
from data.stage.params import choose as entry_of
from data.stage.params import read, read_raw
from data.stage.progress import log
from flows.graph import read_graph
from segment.batches.pool import Part
from segment.batches.sets import Sets
from segment.config import Config, set_up
from segment.rows import plain, read_rows
from synth.layouts import LAYOUTS
from synth.layouts.common.entry import Material
from synth.making.parts import ProduceParams
from synth.making.sets import SetParams
from synth.training import loop
from synth.training.method import Drawn, Given, Method, PaintRequest, generator
from synth.training.plan import Plan
from synth.training.session import TrainingParams

WARM_UP, TIMED = 1, 3  # steps of each span
NUM_PAIRS = 32
SECONDS_A_STAGE = 6.0  # DVC, and the imports of a process; measured on two cores
SECONDS_SEGMENT = 4.0  # what MMSegmentation's imports add


@dataclass
class Clock:
    """A stream of pairs that remembers when each batch was asked for, by a clock in seconds."""

    stream: Stream
    now: Callable[[], float] = time.perf_counter
    asked: list[float] = field(default_factory=list)

    def batch(self, position: int, size: int) -> Batch:
        """Return the next batch."""
        self.asked.append(self.now())
        return self.stream.batch(position, size)


def main(*, workers: int = 0) -> None:
    """Print about how long the stages that are not up to date take; 0 workers: as many as fit."""
    graph = read_graph(Path())
    stale = stale_stages(Path(), graph)
    if not stale:
        log.info("every stage is up to date")
        return
    compute = choose(read("compute", ComputeParams), default_device(), "generators")
    beside = workers or max(1, (os.cpu_count() or 1) // compute.threads)
    log.info("timing a few steps of every stage, to say how long all of them will take")
    began = time.perf_counter()
    log.setLevel("WARNING")  # of trainings that nobody waits for
    try:
        with tempfile.TemporaryDirectory() as folder:
            seconds = dict(estimates(stale, PairSet(blank_pairs(Path(folder, "pairs")))))
        slowdown = contention(beside) if compute.device == "cpu" else 1.0
    finally:
        log.setLevel("INFO")
    total = makespan(graph, seconds, beside, slowdown)
    share = total / sum(seconds.values())
    families: dict[str, float] = {}
    for stage, spent in seconds.items():
        name = stage.partition("@")[0]
        families[name] = families.get(name, 0.0) + spent
    parts = [f"{name} {minutes(s * share)}" for name, s in families.items() if s * share >= 30]
    slower = f", {slowdown:.1f} times slower each" if slowdown >= 1.1 else ""
    log.info(
        f"about {minutes(total)} for {len(seconds)} stages, {beside} at a time{slower}"
        f"{' (' + ', '.join(parts) + ')' if parts else ''}; {compute}; timed in "
        f"{time.perf_counter() - began:.0f} s{busy()}"
    )


def stale_stages(root: Path, graph: Mapping[str, set[str]]) -> list[str]:
    """Return the stages that DVC would run: those that changed, and what comes after them."""
    with Repo(str(root)) as repo:
        changed = {name.rpartition(":")[2] for name in repo.status()}
    stale: list[str] = []
    for stage in ordered(graph):
        if stage in changed or graph[stage] & set(stale):
            stale.append(stage)
    return stale


def ordered(graph: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the stages of a graph, each after what it needs."""
    done: set[str] = set()
    while len(done) < len(graph):
        for stage in [name for name, needed in graph.items() if needed <= done]:
            if stage not in done:
                done.add(stage)
                yield stage


def blank_pairs(out: Path) -> Path:
    """Write a few pairs of the dataset's classes and size whose content is drawn at random."""
    classes, size = dataset()
    rng = np.random.default_rng(0)
    with ShardWriter(out, classes=classes, size=size, fingerprint="estimate") as writer:
        for index in range(NUM_PAIRS):
            # blocks, so that every class is there and regions are larger than pixels
            blocks = rng.integers(0, classes.num_classes, (4, 8), dtype=np.uint8)
            label = np.kron(blocks, np.ones((size[0] // 4 + 1, size[1] // 8 + 1), np.uint8))
            image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            writer.write(Pair(f"{index}", image, label[: size[0], : size[1]].copy(), "real"))
    return out


def estimates(stale: list[str], pairs: PairSet) -> Iterator[tuple[str, float]]:
    """Yield the seconds of every stage; a mistake in a set is told before anything is timed."""
    sets = {name: read(f"sets.{name}", SetParams) for name in read_raw("sets")}
    compute = begin("generators", "estimate", says=False)
    methods = {
        (stage, name): method
        for stage, (section, registry) in FAMILIES.items()
        for name in read_raw(f"train.{section}")
        if (method := build(registry, f"{section}.{name}", pairs)) is not None
    }
    iteration = iterations(stale, pairs)
    for stage in stale:
        name, _, key = stage.partition("@")
        spent = SECONDS_A_STAGE
        if (name, key) in methods:
            spent += training(methods[name, key], load_stream(pairs, seed=0, flip=True), compute)
        elif name == "produce":
            spent += producing(sets[key], methods, pairs)
        elif name in ("segment", "once"):
            spent += SECONDS_SEGMENT + iteration(key.rpartition("-")[0] or key)
        elif name in ("fold", "trust", "judge", "score"):
            spent += SECONDS_SEGMENT + (iteration("real") if name in ("fold", "trust") else 0.0)
        yield stage, spent


def build(registry: Mapping[str, Any], section: str, pairs: PairSet) -> Method | None:
    """Build a method of params.yaml for the pairs; None for what is not trained."""
    entry = entry_of(section.split(".")[1], registry, "method")
    if entry.build is None:
        return None
    count = pairs.classes.num_classes
    given = Given(count, pairs.size, even_palettes(count))
    return entry.build(read(section, entry.Config), given)


def training(
    method: Any, stream: Stream, compute: Compute, now: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of a training, by a clock: every span at the pace of its first steps."""
    steps = WARM_UP + TIMED
    short = tuple(
        replace(span, num_images=min(span.num_images, steps * span.batch_size))
        for span in method.spans
    )
    clock: Any = Clock(stream, now)  # as far as the loop looks at a stream
    with tempfile.TemporaryDirectory() as folder:
        loop.train(
            replace(method, spans=short),
            clock,
            seed=0,
            checkpoint_dir=Path(folder),
            label="estimate",
            device=default_device(),
            options=read("training", TrainingParams).options(compute),
        )
    marks, first, total = [*clock.asked, now()], 0, 0.0
    for span, cut in zip(method.spans, short, strict=True):
        timed = Plan((cut,)).num_steps
        if not timed:
            continue
        begins = first + min(WARM_UP, timed - 1)
        pace = (marks[first + timed] - marks[begins]) / (first + timed - begins)
        total += pace * Plan((span,)).num_steps
        first += timed
    return total


def iterations(stale: list[str], pairs: PairSet) -> Callable[[str], float]:
    """Return what says how many seconds a segmenter of a row trains."""
    if not any(stage.startswith(("segment", "once", "fold", "trust")) for stage in stale):
        return lambda row: 0.0
    config = read("segment", Config)
    setup = set_up(config, pairs, "estimate", says=False)
    from segment.cell import train_cell

    part = Part(pairs, np.arange(len(pairs)))
    rows, paces = read_rows(), dict[int, float]()

    def spent(length: int, count: int, folder: Path) -> float:
        began = time.perf_counter()
        short = config.model_copy(update={"iterations": length, "val_every": length})
        alone = plain(config.per_batch, pairs.path).model_copy(update={"real": count})
        sets = Sets(part, (), {"val": part})
        told = {"seed": 0, "label": "estimate", "work_dir": folder / "w"}
        train_cell(sets, alone, replace(setup, config=short), **told)
        return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as folder:
        spent(WARM_UP, config.per_batch.real or 1, Path(folder))  # pays for imports

    def seconds(name: str) -> float:
        row = rows[name]
        count = (row.real or 0) + (row.synthetic or 0)
        if count not in paces:
            with tempfile.TemporaryDirectory() as folder:
                one = spent(WARM_UP, count, Path(folder))
                paces[count] = (spent(WARM_UP + TIMED, count, Path(folder)) - one) / TIMED
        return max(0.0, paces[count]) * config.iterations

    return seconds


@torch.no_grad()
def producing(row: SetParams, methods: Mapping[tuple[str, str], Method], pairs: PairSet) -> float:
    """Return the seconds of a set: its batches at the pace of one, PNG left out."""
    numbers = read("produce", ProduceParams)
    painter, layouts = methods.get(("painter", row.painter)), methods.get(("layout", row.layouts))
    labels = torch.from_numpy(pairs.labels(range(min(numbers.batch_size, len(pairs))))).long()
    rngs = [generator(0, index) for index in range(len(labels))]
    batch = load_stream(pairs, seed=0, flip=False).batch(0, len(labels))
    put_together = fitted(row.layouts, pairs)
    if put_together is not None:
        put_together(rngs[:1])  # finds what it finds once
    began = time.perf_counter()
    if put_together is not None:
        put_together(rngs)
    if layouts is not None:
        request = layouts.request(batch, generator(0))
        layouts.nets.eval()
        layouts.sample(layouts.nets, request, rngs)
    if painter is not None:
        painter.nets.eval()
        painter.sample(painter.nets, PaintRequest(labels), rngs)
    again = numbers.repaint.num_layouts * numbers.repaint.num_images
    return (time.perf_counter() - began) * (row.num_pairs + again) / len(labels)


def fitted(name: str, pairs: PairSet) -> Callable[[Sequence[torch.Generator]], Drawn] | None:
    """Return what draws layouts by a method that is fitted; None where networks or parents do."""
    leaning = read_raw("train.adaptive") or {}
    name = leaning[name]["layouts"] if name in leaning else name
    entry = LAYOUTS.get(name)
    if entry is None or entry.fit is None or entry.load is None or entry.draw is None:
        return None
    config, flip = read(f"layouts.{name}", entry.Config), read("training", TrainingParams).flip
    method = entry.load(config, entry.fit(config, Material(pairs, pairs, flip)).tensors())
    draw, palettes = entry.draw, even_palettes(pairs.classes.num_classes)

    def drawn(rngs: Sequence[torch.Generator]) -> Drawn:
        asked = torch.from_numpy(palettes.sample(len(rngs), 0))
        return draw(method, None, palette=asked, real=asked, rngs=rngs)

    return drawn


def minutes(seconds: float) -> str:
    """Return a time in words, for example `13 minutes`."""
    whole = round(seconds / 60)
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} hours"
    return f"{whole} minute{'s' * (whole != 1)}" if whole else f"{seconds:.0f} seconds"


if __name__ == "__main__":
    run(main)
