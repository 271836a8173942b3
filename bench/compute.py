"""Time precision and memory layout on this machine, for every network of params.yaml.

`make bench-compute` writes the table into `docs/benchmarks.md`.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.cost.synth import even_palettes
from bench.estimate import blank_pairs
from bench.record import machine, write_section
from data.pairs.batches import Stream, load_stream
from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.compute import Compute, Computed, computes_bf16
from data.stage.params import read, read_raw
from data.stage.progress import progress
from segment.batches.pool import Part
from segment.batches.sets import Sets
from segment.config import Config, Setup, build_config
from segment.rows import plain
from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.training import loop
from synth.training.method import Given
from synth.training.session import TrainingParams

CPU = torch.device("cpu")
STEPS, ROUNDS = 2, 3
FAMILIES = {"layouts": LAYOUTS, "painters": PAINTERS}

Way = tuple[Computed, bool]  # precision, channels last


def main(*, out: Path = Path("docs/benchmarks.md")) -> None:
    """Measure seconds of processor time of a few steps and write the table into a page."""
    began = os.getloadavg()[0]
    torch.set_num_threads(1)
    precisions: tuple[Computed, ...] = ("fp32", "bf16") if computes_bf16(CPU) else ("fp32",)
    ways: list[Way] = [(precision, last) for precision in precisions for last in (False, True)]
    with tempfile.TemporaryDirectory() as folder:
        pairs = PairSet(blank_pairs(Path(folder, "pairs")))
        works = networks(pairs)
        found: dict[str, dict[Way, float]] = {name: {} for name in works}
        with progress(len(works) * len(ways) * ROUNDS, "bench-compute", "runs") as advance:
            for _ in range(ROUNDS):
                for name, work in works.items():
                    for way in ways:
                        spent = work(Compute("cpu", way[0], way[1], 1))
                        found[name][way] = min(spent, found[name].get(way, spent))
                        advance()
    write_section(out, "bench-compute", page(found, ways, began))


def networks(pairs: PairSet) -> dict[str, Callable[[Compute], float]]:
    """Return for each network what returns the processor time of a few steps of it."""
    works: dict[str, Callable[[Compute], float]] = {}
    stream = load_stream(pairs, seed=0, flip=True)
    given = Given(pairs.classes.num_classes, pairs.size, even_palettes(pairs.classes.num_classes))
    for section, registry in FAMILIES.items():
        for name in read_raw(section):
            if name in registry and registry[name].build is not None:
                config = read(f"{section}.{name}", registry[name].Config)
                works[name] = trained(registry[name].build, config, given, stream)
    works[read("segment", Config).arch] = segmented(pairs)
    return works


def trained(
    build: Callable[[Any, Given], Any], config: Any, given: Given, stream: Stream
) -> Callable[[Compute], float]:
    """Return what times some steps of every span of a method."""

    def work(compute: Compute) -> float:
        torch.manual_seed(0)
        method = build(config, given)
        spans = [replace(span, num_images=STEPS * span.batch_size) for span in method.spans]
        options = read("training", TrainingParams).options(compute)
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            loop.train(
                replace(method, spans=tuple(spans)),
                stream,
                seed=0,
                checkpoint_dir=Path(folder),
                label="bench-compute",
                device=CPU,
                options=options,
            )
        return time.process_time() - began

    return work


def segmented(pairs: PairSet) -> Callable[[Compute], float]:
    """Return what times some iterations of the segmenter."""
    from segment.cell import train_cell

    config = read("segment", Config)
    length = 10 * STEPS
    config = config.model_copy(update={"iterations": length, "val_every": length})
    model = build_config(config, pairs.classes, pairs.size)
    part = Part(pairs, np.arange(len(pairs)))
    sets, row = Sets(part, (), {"val": part}), plain(config.per_batch, pairs.path)

    def work(compute: Compute) -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            place = Path(folder) / "work"
            setup = Setup(config, model, compute)
            train_cell(sets, row, setup, seed=0, label="bench", work_dir=place)
        return time.process_time() - began

    return work


def page(found: dict[str, dict[Way, float]], ways: list[Way], load: float) -> str:
    """Return the section of the page; ratios are to fp32 with channels first."""
    head = [f"{p}, channels {'last' if last else 'first'}" for p, last in ways]
    lines = [
        "## Precision and memory layout",
        "",
        "    make bench-compute",
        "",
        machine(load, ("torch",)),
        "",
        f"Seconds of processor time of {STEPS} steps of every span ({10 * STEPS} iterations of the "
        "segmenter) on one thread, the best of "
        f"{ROUNDS} rounds, and in brackets the ratio to fp32 with channels first. "
        "`ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2` in front of the command computes as a "
        "processor without AVX-512 does.",
        "",
        f"| network | {' | '.join(head)} |",
        f"| --- |{' ---: |' * len(ways)}",
    ]
    for name, times in found.items():
        cells = [f"{times[way]:.2f} ({times[way] / times[ways[0]]:.2f})" for way in ways]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
