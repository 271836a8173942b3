"""Compare production with a plain loop, on the same weights, layouts and size.

`make bench-produce` writes the table of `docs/benchmarks.md`.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from torch import Tensor, nn

from bench.record import machine, streets_set, write_section
from data.pairs.batches import onehot
from data.pairs.manifest import StartsFrom
from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.compute import Compute, default_device
from data.stage.outputs import remove
from data.stage.params import read
from data.stage.progress import Advance, progress
from synth.making.drawing import parent_row
from synth.making.engines import processes
from synth.making.engines.worker import make_parts
from synth.making.painter import load_painter
from synth.making.parts import Batch, Job, Part, ProduceParams, RepaintParams
from synth.making.sets import Artifacts, ReadySet, SetParams
from synth.painters import spade
from synth.palettes.palette import PaletteParams, fit
from synth.training import artifact
from synth.training.method import Given

SIZE = (128, 256)
BATCH_SIZE = 8
THREADS = 1  # two that wait for each other measure the other users of a machine
ROUNDS = 3
BATCHES_OF_A_WORKER = 4
FULL_WIDTH = {"width": 64, "max_channels": 1024, "hidden": 128}  # of SPADE as published

PLAIN = "plain loop: fp32, one by one, PNG files"
BATCHED = "plain loop, batches, bf16 autocast, channels-last"
EXACT = "this engine, fp32"
FAST = "this engine, bf16"


@dataclass(frozen=True)
class Row:
    """One way to produce: pairs per second, its ratio to the first way's of the same rounds.

    Processor seconds a pair and their ratio, which is blind to how busy the machine is; the
    largest and the mean difference of images in [-1, 1] to the plain loop's.
    """

    name: str
    rate: float
    ratio: float
    cost: float
    cost_ratio: float
    most: float | None = None
    mean: float | None = None


def main(*, out: Path = Path("docs/benchmarks.md"), rounds: int = ROUNDS) -> None:
    """Measure pairs per second and write the table into a page."""
    began = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as folder,
        progress(BATCH_SIZE + 5 * rounds, "bench-produce", "steps") as advance,
    ):
        job = prepare_job(Path(folder), advance)
        rows = compare_ways(job, rounds, advance)
        workers = compare_workers(job, rounds, advance)
    write_section(out, "bench-produce", page(rows, workers, began, rounds))


def prepare_job(root: Path, advance: Advance) -> Job:
    """Render layouts and write a full-width SPADE whose images use the range of colours."""
    real = streets_set(root / "train", SIZE, BATCH_SIZE, advance)
    law = read("palette", PaletteParams).model_copy(update={"max_components": 1})
    model, _ = fit(real.column("palette"), law, min_share=0.0)
    model.save(root / "palette", {})
    config = read("painters.spade", spade.Config).model_copy(update=FULL_WIDTH)
    torch.manual_seed(0)
    method = spade.build(config, Given(real.classes.num_classes, SIZE))
    spread(method.nets["G"])
    trained = artifact.Trained(nn.ModuleDict({"G": method.nets["G"]}), artifact.critics_of(method))
    for name, said, made in (("real", {}, None), ("spade", config.model_dump(), trained)):
        (root / name).mkdir()
        description = artifact.Description(name, said, real.classes, SIZE, "bench")
        artifact.write(root / name, description, made)
    numbers = ProduceParams(
        batch_size=BATCH_SIZE,
        seed=0,
        repaint=RepaintParams(num_layouts=1, num_images=2),
    )
    return Job(
        "bench",
        SetParams(layouts="real", painter="spade", num_pairs=BATCH_SIZE),
        numbers,
        Compute("cpu", "fp32", True, THREADS),
        train=root / "train",
        artifacts=Artifacts(root / "palette", root / "real", root / "spade"),
        starts_from=StartsFrom.of(root / "train"),
        fingerprint="bench",
        folder=root / "parts",
    )


def spread(net: nn.Module) -> None:
    """Give a fresh network the spread of a trained one; its speed does not depend on weights."""
    for layer in net.modules():
        for name, buffer in layer.named_buffers(recurse=False):
            if name == "running_mean":
                buffer.normal_(0, 0.3)
            elif name == "running_var":
                buffer.uniform_(0.3, 2)
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(20)


# == one process ==


def compare_ways(job: Job, rounds: int, advance: Advance) -> list[Row]:
    """Time a batch of pairs made in every way, the ways in turn; the first is the measure."""
    device = default_device()
    pairs = PairSet(job.train)
    method, plain = load_painter(job.artifacts.painter, "spade", pairs, device)
    lasting = deepcopy(plain["G"])
    lasting.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # not in its overloads
    exact = job.load(device)
    count = pairs.classes.num_classes
    fast = replace(exact, painter_nets=spade.ENTRY.prepare(method, plain, torch.bfloat16))
    rows = [parent_row(0, index, BATCH_SIZE) for index in range(BATCH_SIZE)]
    layouts = onehot(exact.real_labels[rows].long(), count).to(device)
    ways: dict[str, Callable[[], None]] = {
        PLAIN: lambda: plain_loop(plain["G"], layouts, 1, job.folder),
        BATCHED: lambda: batched_loop(lasting, layouts, job.folder),
        EXACT: lambda: engine(job, exact),
        FAST: lambda: engine(job, fast),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, make in ways.items():
            found[name].append(timed(make))
            advance()
    wanted = plain_images(plain["G"], layouts)
    nets = {EXACT: exact.painter_nets["G"], FAST: fast.painter_nets["G"]}
    made = {name: (plain_images(net, layouts) - wanted).abs() for name, net in nets.items()}
    return [
        Row(
            name,
            rate=median(BATCH_SIZE / wall for wall, _ in times),
            ratio=median(
                base / wall for (base, _), (wall, _) in zip(found[PLAIN], times, strict=True)
            ),
            cost=median(cpu / BATCH_SIZE for _, cpu in times),
            cost_ratio=median(
                base / cpu for (_, base), (_, cpu) in zip(found[PLAIN], times, strict=True)
            ),
            most=float(made[name].max()) if name in made else None,
            mean=float(made[name].mean()) if name in made else None,
        )
        for name, times in found.items()
    ]


def with_numbers(job: Job, **changed: object) -> Job:
    """Return a job with other numbers."""
    return replace(job, numbers=job.numbers.model_copy(update=changed))


@torch.no_grad()
def plain_loop(net: nn.Module, layouts: Tensor, batch_size: int, folder: Path) -> None:
    """Paint layouts `[N, C, H, W]` as published code does, and write two PNG files a pair."""
    folder.mkdir(exist_ok=True)
    for first in range(0, len(layouts), batch_size):
        batch = layouts[first : first + batch_size]
        pixels = ((net(batch).float() + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()
        labels = batch.argmax(1).byte().cpu().numpy()
        for slot, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{first + slot}.png")
            Image.fromarray(label).save(folder / f"{first + slot}_label.png")


def batched_loop(net: nn.Module, layouts: Tensor, folder: Path) -> None:
    """Paint layouts `[B, C, H, W]` in bfloat16, one step after the other."""
    with torch.autocast(layouts.device.type, torch.bfloat16):
        plain_loop(net, layouts, len(layouts), folder)


def engine(job: Job, ready: ReadySet) -> None:
    """Make a shard of one batch."""
    part = Part("pairs", 0, (Batch(range(BATCH_SIZE), 0, BATCH_SIZE),))
    remove(job.folder / part.name)
    for _ in make_parts(job, ready, [part]):
        pass


@torch.no_grad()
def plain_images(net: nn.Module, layouts: Tensor) -> Tensor:
    """Return images `[B, 3, H, W]` of layouts `[B, C, H, W]`."""
    return torch.cat([net(layout[None]).float().cpu() for layout in layouts])


def timed(make: Callable[[], None]) -> tuple[float, float]:
    """Return seconds, and seconds of this process on all processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    make()
    return time.perf_counter() - wall, time.process_time() - cpu


# == several processes ==


def compare_workers(job: Job, rounds: int, advance: Advance) -> list[float]:
    """Return, for every round, pairs per second of two workers over twice that of one.

    Each worker's rate is taken from its first batch to its last: starting is not production.
    """
    job = replace(job, compute=replace(job.compute, precision="bf16"))
    found = []
    for _ in range(rounds):
        one, two = (worker_rate(with_numbers(job, workers=number)) for number in (1, 2))
        found.append(two / (2 * one))
        advance()
    return found


def worker_rate(job: Job) -> float:
    """Return the pairs per second of a crew, the sum of its workers' rates."""
    crew = range(job.numbers.workers or 1)
    parts = [
        Part("pairs", number, (Batch(range(first, first + BATCH_SIZE), 0, BATCH_SIZE),))
        for number, first in enumerate(
            range(0, len(crew) * BATCHES_OF_A_WORKER * BATCH_SIZE, BATCH_SIZE)
        )
    ]
    remove(job.folder)
    with closing(processes.make(job, parts)) as steps:
        heard = [(step.worker, time.perf_counter()) for step in steps if step.num_pairs]
    ends = [[when for who, when in heard if who == worker] for worker in crew]
    return sum(
        BATCH_SIZE * (len(times) - 1) / (times[-1] - times[0]) for times in ends if len(times) > 1
    )


# == the page ==


def page(rows: Sequence[Row], workers: Sequence[float], load: float, rounds: int) -> str:
    """Return the section of the page."""
    height, width = SIZE
    lines = [
        "## Production",
        "",
        "    make bench-produce",
        "",
        machine(load, ("torch", "pillow", "pyarrow")),
        "",
        f"SPADE at full width (ngf 64, 93 million parameters), {height}x{width} street layouts "
        f"of 35 classes, one thread, batches of {BATCH_SIZE}. The plain loop "
        "paints as published implementations do and writes an image and a label file for each "
        "pair; this engine writes a finished shard with palettes and hashes. Networks are loaded "
        f"before. Medians of {rounds} rounds in which the ways take turns, ratios within a round; "
        "processor time is blind to how busy the machine is. Differences are those of images in "
        "[-1, 1] to the plain loop's, where a grey level is 0.0078.",
        "",
        "| way | pairs/s | ratio | CPU s/pair | ratio of it | largest difference | mean |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *table(rows),
        "",
        "Two workers of one thread each made "
        + ", ".join(f"{ratio:.2f}" for ratio in workers)
        + " of twice the pairs of one such worker (bf16).",
    ]
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table."""
    for row in rows:
        differs = "| |" if row.most is None else f"{row.most:.1e} | {row.mean:.1e} |"
        yield (
            f"| {row.name} | {row.rate:.2f} | {row.ratio:.2f} | {row.cost:.2f} | "
            f"{row.cost_ratio:.2f} | {differs}"
        )


if __name__ == "__main__":
    run(main)
