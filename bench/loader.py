"""Compare the speed of the loader with MMSegmentation's own, on the same PNG bytes.

`make bench-data` writes the table of `docs/benchmarks.md`.
"""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from bench.record import machine, streets_set, write_section
from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.progress import Advance, progress
from segment import mm
from segment.batches.loading import augmentation
from segment.batches.mixes import make_mix
from segment.batches.pool import Part, Pool

SIZES = ((128, 256), (256, 512))
WORKERS = (0, 2)
NUM_PAIRS = 8
BATCH_SIZE = 8
BATCHES = 12  # timed in every round
ROUNDS = 3
# MMSegmentation's own: the picture is scaled by 0.5 to 2, which are shares of 2 to 0.5
CROP, FLIP = (0.5, 2.0), 0.5

BASELINE = "MMSegmentation, folder of PNG"
MEMORY = "pairs in memory (they fit `segment.memory_limit_mb`)"
FILE = "pairs in the decoded file (they do not fit), second epoch on"
FIRST = "pairs in the decoded file, first epoch: decodes and writes"
DECODING = "pairs decoded at every access (no room on disk either)"


@dataclass(frozen=True)
class Row:
    """One way to load, at one size and number of workers.

    Images per second, the ratio of it to the baseline's, and milliseconds of processor time an
    image, workers included.
    """

    size: tuple[int, int]
    num_workers: int
    name: str
    rate: float
    ratio: float
    cost: float


def main(*, out: Path = Path("docs/benchmarks.md")) -> None:
    """Measure images per second of both loaders and write the table into a page."""
    cv2.setNumThreads(0)  # as in a worker; MMSegmentation sets the same in trainings
    torch.set_num_threads(1)
    began = os.getloadavg()[0]
    rows: list[Row] = []
    total = len(SIZES) * (NUM_PAIRS + len(WORKERS) * ROUNDS)
    with tempfile.TemporaryDirectory() as folder, progress(total, "bench-data", "steps") as advance:
        for size in SIZES:
            root = Path(folder) / f"{size[0]}x{size[1]}"
            pairs = streets_set(root / "set", size, NUM_PAIRS, advance)
            write_folder(root / "png", pairs)
            for num_workers in WORKERS:
                rows += measure(pairs, root, num_workers, advance)
    write_section(out, "bench-data", page(rows, began))


def write_folder(root: Path, pairs: PairSet) -> None:
    """Write the very bytes of a pair set as images/ID.png and labels/ID.png."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for row, number in enumerate(pairs.ids()):
        for kind in ("image", "label"):
            (content,) = pairs.encoded(row, (kind,))
            (root / f"{kind}s/{number}.png").write_bytes(content or b"")


def measure(pairs: PairSet, root: Path, num_workers: int, advance: Advance) -> list[Row]:
    """Time every way to load in turn, several rounds; medians, ratios within a round."""
    folder = root / "png"
    # every pair stands for several, so that a first epoch is long enough to be timed
    repeated = np.resize(np.arange(len(pairs)), BATCH_SIZE * (BATCHES + warm_up(num_workers)))
    part = Part(pairs, repeated)
    kept = Pool([part], memory_limit_mb=2**20)
    filed = Pool([part], memory_limit_mb=0, scratch=root)
    for index in range(len(filed)):
        filed[index]
    ways: dict[str, Callable[[int], DataLoader]] = {
        BASELINE: lambda seed: folder_loader(folder, pairs, num_workers, seed),
        MEMORY: lambda seed: pair_loader(kept, pairs, num_workers, seed),
        FILE: lambda seed: pair_loader(filed, pairs, num_workers, seed),
        FIRST: lambda seed: pair_loader(
            Pool([part], memory_limit_mb=0, scratch=root), pairs, num_workers, seed
        ),
        DECODING: lambda seed: pair_loader(
            Pool([part], memory_limit_mb=0), pairs, num_workers, seed
        ),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name, make in ways.items():
            found[name].append(timed(make(number), warm_up(num_workers)))
        advance()
    medians = {}
    for name, rounds in found.items():
        ratios = [rate / base for (rate, _), (base, _) in zip(rounds, found[BASELINE], strict=True)]
        rates, costs = zip(*rounds, strict=True)
        medians[name] = [statistics.median(values) for values in (rates, ratios, costs)]
    return [Row(pairs.size, num_workers, name, *values) for name, values in medians.items()]


def warm_up(num_workers: int) -> int:
    """Return how many batches pass before the clock starts: what workers had prefetched."""
    return 1 + 2 * num_workers


def timed(loader: DataLoader, skipped: int) -> tuple[float, float]:
    """Draw batches as a training would, and throw them away.

    Returns images per second after the first `skipped` batches, and milliseconds of processor time
    an image over all of them, workers included.
    """
    spent = processor_seconds()
    batches = iter(loader)
    first = sum(len(batch["inputs"]) for batch in islice(batches, skipped))
    began = time.perf_counter()
    shown = sum(len(batch["inputs"]) for batch in islice(batches, BATCHES))
    rate = shown / (time.perf_counter() - began)
    del batches, loader  # ends the workers, which then count
    return rate, 1000 * (processor_seconds() - spent) / (first + shown)


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def pair_loader(pool: Pool, pairs: PairSet, num_workers: int, seed: int) -> DataLoader:
    """Return the batches of a training on pairs."""
    num_batches = BATCHES + warm_up(num_workers)
    mix = make_mix(
        range(len(pool)),
        range(0),
        num_real=BATCH_SIZE,
        num_synthetic=0,
        num_batches=num_batches,
        seed=seed,
    )
    return mm.loader(pool, mix, pairs.classes, transforms(pairs), num_workers)


def folder_loader(folder: Path, pairs: PairSet, num_workers: int, seed: int) -> DataLoader:
    """Return the batches of MMSegmentation's own loader, configured as its configs do."""
    load = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
    config = {
        "batch_size": BATCH_SIZE,
        "num_workers": num_workers,
        "persistent_workers": num_workers > 0,
        "sampler": {"type": "InfiniteSampler", "shuffle": True},
        "collate_fn": {"type": "pseudo_collate"},
        "dataset": {
            "type": "BaseSegDataset",
            "data_root": str(folder),
            "data_prefix": {"img_path": "images", "seg_map_path": "labels"},
            "img_suffix": ".png",
            "seg_map_suffix": ".png",
            "metainfo": {"classes": pairs.classes.names},
            "pipeline": [*load, *transforms(pairs)],
        },
    }
    return mm.Runner.build_dataloader(config, seed=seed)


def transforms(pairs: PairSet) -> list[dict[str, Any]]:
    """Return RandomResize, RandomCrop, RandomFlip, PackSegInputs."""
    return augmentation(pairs.size, CROP, FLIP, pairs.classes.mirrored)


def page(rows: Sequence[Row], load: float) -> str:
    """Return the section of the page."""
    packages = ("torch", "onedl-mmsegmentation", "onedl-mmcv", "opencv-python", "pillow", "pyarrow")
    lines = [
        "## The loader alone",
        "",
        "    make bench-data",
        "",
        machine(load, packages),
        "",
        f"Batches of {BATCH_SIZE} street scenes, nothing trained. MMSegmentation reads a folder "
        "with the very PNG bytes of the shards (LoadImageFromFile, LoadAnnotations); both then do "
        f"RandomResize by 0.5 to 2, RandomCrop, RandomFlip and PackSegInputs. All files are in the "
        f"page cache. Medians of {ROUNDS} rounds of {BATCHES} batches; the ways take turns within "
        "a round, and the ratio is taken within a round, because a rate on a busy machine means "
        "little by itself. Processor time, workers and their start included, is blind to how busy "
        "the machine is. The decoded file takes 4 bytes a pixel on disk while a training runs.",
        "",
        "| size | workers | way | images/s | ratio | CPU ms/image |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
        *table(rows),
    ]
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table."""
    for row in rows:
        size = f"{row.size[0]}x{row.size[1]}"
        yield (
            f"| {size} | {row.num_workers} | {row.name} | {row.rate:.0f} | {row.ratio:.2f} | "
            f"{row.cost:.1f} |"
        )


if __name__ == "__main__":
    run(main)
