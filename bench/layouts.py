"""What layout methods learn in so many minutes of a core: `python -m bench.layouts`.

Every method of `train.layouts` that is trained learns the pairs of `artifacts/real/train` with the
numbers of params.yaml, its schedule stretched to 2, 10 and 40 minutes of processor time; one that
is fitted and makes whole layouts has one row. The table goes into docs/benchmarks.md. A cell that
an earlier run has finished is not trained again; its networks, its numbers and a sheet of its
layouts are in `.scratch/bench-layouts`.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bench.estimate import training
from bench.layout_scores import (
    BANDS,
    COLUMNS,
    NUM_COUNTED,
    NUM_DRAWN,
    Labels,
    Numbers,
    of_edits,
    of_whole,
    yardsticks,
)
from bench.record import machine, write_section
from data.pairs.batches import Stream, load_stream
from data.pairs.classes import ClassTable
from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.compute import Compute, begin
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import read_json, replacing, write_json
from data.stage.params import read, read_raw
from data.stage.progress import log
from synth.layouts import LAYOUTS
from synth.layouts.common.entry import Entry, Material
from synth.palettes.palette import PaletteModel
from synth.training import loop
from synth.training.method import Given
from synth.training.session import TrainingParams

NETS, NUMBERS, SHEET = "nets.safetensors", "numbers.json", "sheet.png"
SHEET_COLUMNS, SHEET_ROWS = 6, 6
MINUTES = "2,10,40"


def main(
    *,
    train: Path = Path("artifacts/real/train"),
    palette: Path = Path("artifacts/palette"),
    minutes: str = MINUTES,
    methods: str = "",
    out: Path = Path("docs/benchmarks.md"),
) -> None:
    """Train and score every method for each of the `minutes` of a core; empty `methods` are all."""
    began, budgets = os.getloadavg()[0], [float(part) for part in minutes.split(",")]
    torch.set_num_threads(1)
    real = PairSet(train)
    given = Given(real.classes.num_classes, real.size, PaletteModel.load(palette))
    there = [name for name in read_raw("train.layouts") if _learns(LAYOUTS[name])]
    names = methods.split(",") if methods else there
    if wrong := set(names) - set(there):
        raise UserError(f"{', '.join(sorted(wrong))}: not among the trained {', '.join(there)}")
    # before any training: what it imports would be part of the key
    cells = [
        (name, budget, _folder(name, budget, [train, palette]))
        for name in names
        for budget in (budgets if LAYOUTS[name].build else [0.0])
    ]
    rows: list[tuple[str, Numbers]] = []
    for name, budget, folder in cells:
        if not (folder / NUMBERS).is_file():
            make = _make if LAYOUTS[name].build else _fit
            make(name, budget, real, given, folder)
        rows.append((f"`{name}`", read_json(folder / NUMBERS)))
    whole, parts = yardsticks(real)
    rows += [("real, of other groups", whole), ("their bands", parts)]
    asked = {"--minutes": minutes if minutes != MINUTES else "", "--methods": methods}
    flags = "".join(f" {flag} {value}" for flag, value in asked.items() if value)
    write_section(out, "bench-layouts", page(f"python -m bench.layouts{flags}", rows, began, real))


def _learns(entry: Entry) -> bool:
    """Say whether there is a row of a method: it is trained, or fitted, and draws labels alone."""
    return entry.build is not None or (entry.fit is not None and not entry.composes)


def _folder(name: str, budget: float, inputs: list[Path]) -> Path:
    numbers = {"layouts": read_raw(f"layouts.{name}"), "minutes": budget}
    return scratch(f"bench-layouts/{name}-{budget:g}", fingerprint(numbers, inputs))


def _make(name: str, budget: float, real: PairSet, given: Given, folder: Path) -> None:
    """Train one method for a budget of minutes, score it, and keep what it has learnt."""
    compute = begin("generators", f"{name}, {budget:g} minutes of a core")
    stream = load_stream(real, seed=0, flip=True, images=False)
    pace = training(_method(name, given), stream, compute, time.process_time)
    method = _method(name, given)
    spans = tuple(
        replace(span, num_images=round(60 * budget / pace * span.num_images))
        for span in method.spans
    )
    clock = time.process_time()
    nets = _trained(replace(method, spans=spans), stream, compute, name)
    spent = (time.process_time() - clock) / 60
    about = {"minutes": spent, "images": float(sum(span.num_images for span in spans))}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as partial, torch.no_grad():
        save_file({k: v.contiguous() for k, v in nets.state_dict().items()}, partial / NETS)
        if LAYOUTS[name].edits:
            found, shown = of_edits(method, nets, real)
        else:
            found, shown = of_whole(name, method, nets, real, given.wanted_palettes())
        Image.fromarray(sheet(shown, real.classes)).save(partial / SHEET)
        write_json(partial / NUMBERS, about | found)
    log.info(f"{folder / SHEET} shows what was made")


def _fit(name: str, budget: float, real: PairSet, given: Given, folder: Path) -> None:
    """Fit a method, which takes the time it takes, and score it."""
    entry = LAYOUTS[name]
    assert entry.fit is not None and entry.load is not None, "a method that is fitted"
    config, clock = read(f"layouts.{name}", entry.Config), time.process_time()
    flip = read("training", TrainingParams).flip
    method = entry.load(config, entry.fit(config, Material(real, real, flip)).tensors())
    about = {"minutes": (time.process_time() - clock) / 60, "images": float(len(real))}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as partial, torch.no_grad():
        palettes = given.wanted_palettes()
        found, shown = of_whole(name, method, nn.ModuleDict(), real, palettes)
        Image.fromarray(sheet(shown, real.classes)).save(partial / SHEET)
        write_json(partial / NUMBERS, about | found)
    log.info(f"{folder / SHEET} shows what was made")


def _method(name: str, given: Given) -> Any:
    entry = LAYOUTS[name]
    assert entry.build is not None
    torch.manual_seed(0)
    return entry.build(read(f"layouts.{name}", entry.Config), given)


def _trained(method: Any, stream: Stream, compute: Compute, name: str) -> nn.ModuleDict:
    with tempfile.TemporaryDirectory() as folder:
        return loop.train(
            method,
            stream,
            seed=0,
            checkpoint_dir=Path(folder),
            label=name,
            device=torch.device(compute.device),
            options=read("training", TrainingParams).options(compute),
        )[0]


def sheet(labels: Labels, classes: ClassTable) -> np.ndarray:
    """Show the first labels in class colours, a few beside and below each other."""
    shown = [
        np.pad(classes.colorize(label), ((1, 1), (1, 1), (0, 0)), constant_values=255)
        for label in labels[: SHEET_COLUMNS * SHEET_ROWS]
    ]
    starts = range(0, len(shown) - SHEET_COLUMNS + 1, SHEET_COLUMNS)
    return np.concatenate([np.concatenate(shown[at : at + SHEET_COLUMNS], 1) for at in starts])


def page(command: str, rows: Sequence[tuple[str, Numbers]], load: float, real: PairSet) -> str:
    """Return the section of the page: what was measured, and a table."""
    columns = [key for key in COLUMNS if any(numbers.get(key) is not None for _, numbers in rows)]
    header = ["method", *(COLUMNS[key][0] for key in columns)]
    lines = [
        [name, *(_shown(numbers.get(key), COLUMNS[key][1]) for key in columns)]
        for name, numbers in rows
    ]
    table = [header, ["---", *["---:"] * len(columns)], *lines]
    low, high = (f"{100 * width:g}" for width in BANDS)
    height, width = real.size
    return "\n".join(
        [
            "## Layouts",
            "",
            f"    {command}",
            "",
            machine(load, ["torch"]),
            "",
            f"{len(real)} real layouts of {height}x{width}, {NUM_DRAWN} made by each method, which "
            "was trained once, for so many minutes of processor time, or fitted. Whole layouts are "
            f"compared with the real ones; of an editor the bands, {low} to {high} % wide, with "
            "those that were there. *Presence*: the class that occurs in too many or too few "
            f"layouts; it and *KL* are of {NUM_COUNTED:,} whole layouts, for chance is worth "
            "points; *as asked*: that of the target palettes, drawn from their law. *Sizes* and "
            "*lower edges*: 1-Wasserstein distances of the regions that pixels lie in; an octave "
            "is a factor of 2. *Two noises*: how many pixels of a band differ that is asked for "
            "the same; *two draws*: for anything, or of two whole layouts. *Thinnest class*: what "
            "is left of it in real layouts that are reduced to the finest size that is trained, "
            "enlarged and rounded; no training lifts it above that. *Frechet*: of an ImageNet "
            "network's features of layouts in class colours. *Copies*: nearer to a real "
            "layout than 99 of 100 real ones of other groups are.",
            "",
            *("| " + " | ".join(line) + " |" for line in table),
        ]
    )


def _shown(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    run(main)
