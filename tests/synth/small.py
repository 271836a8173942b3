"""Methods, artifacts and parameters that are small enough for tests."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Batch
from data.pairs.classes import ClassTable
from data.pairs.pairset import PairSet
from data.stage.params import Params
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.layouts.common.entry import Material
from synth.making import drawing
from synth.painters import PAINTERS
from synth.painters.common.bank import StyleBank
from synth.training import artifact
from synth.training.method import Given, Palettes
from synth.unconditional import UNCONDITIONAL
from tests.synth.settings import (
    ARGMAX as ARGMAX,
)
from tests.synth.settings import (
    BALANCED as BALANCED,
)
from tests.synth.settings import (
    CODES as CODES,
)
from tests.synth.settings import (
    PUBLISHED as PUBLISHED,
)
from tests.synth.settings import (
    TINY as TINY,
)
from tests.synth.settings import (
    VARIANTS as VARIANTS,
)

LEVELS = [[0, 8, 4], [4, 4, 4], [4, 4, 4], [4, 4, 4]]
"""Four levels of a size that has four or more."""

JOINT = {
    "batch_size": 4,
    "layout_weight": 1.0,
    "image_critic_weight": 0.01,
    "freeze_layout": False,
    "critic_width": 64,
    "critic_layers": 3,
    "critic_scales": 2,
    "layout_lr": 1e-4,
    "layout_critic_lr": 1e-4,
    "layout_betas": [0.0, 0.99],
    "painter_lr": 1e-4,
    "painter_critic_lr": 4e-4,
    "painter_betas": [0.0, 0.9],
    "image_critic_lr": 4e-4,
    "image_critic_betas": [0.0, 0.9],
    "ema": 0.999,
}
"""Section 4.2 of Semantic Palette's notes, with an average."""

# Batch, multiplier and resolution of the released schedule (street scenes, full generator).
PAPER_LEVELS = (
    (4, 1024, 4),
    (8, 512, 3),
    (16, 256, 3),
    (32, 64, 2),
    (64, 16, 2),
    (128, 8, 1),
    (256, 16, 1),
    (512, 8, 1),
    (1024, 4, 1),
)

PALETTE = {
    "min_components": 1,
    "max_components": 1,
    "chosen_by": "aic",
    "covariance_floor": 1e-3,
    "projection": "simplex",
    "seed": 0,
}
COMPUTE = {"precision": "fp32", "channels_last": False, "threads": 1}
FAST = {"precision": "bf16", "channels_last": True, "threads": 1}
TRAINING = {
    "seed": 0,
    "flip": True,
    "save_every": 2,
    "log_every": 2,
    "max_skipped": 10,
}

LAYOUTS_TRAINED = tuple(name for name, entry in LAYOUTS.items() if entry.build)
LAYOUTS_FITTED = tuple(name for name, entry in LAYOUTS.items() if entry.fit)
PAINTERS_TRAINED = tuple(name for name, entry in PAINTERS.items() if entry.build)
FOLLOW = tuple(name for name, entry in LAYOUTS.items() if entry.makes_whole)
EDITORS = tuple(name for name, entry in LAYOUTS.items() if entry.edits)
JOINED_LAYOUTS = tuple(name for name, entry in LAYOUTS.items() if entry.joins)
JOINED_PAINTERS = tuple(name for name, entry in PAINTERS.items() if entry.joins)


EVERY: dict[str, Any] = {**LAYOUTS, **PAINTERS, **UNCONDITIONAL}


def entry_of(name: str) -> Any:
    return EVERY[name]


def numbers(name: str, *, published: bool = False, **changes: Any) -> dict[str, Any]:
    """Return the section of a method, small unless `published`."""
    return PUBLISHED[name] | ({} if published else TINY.get(name, {})) | changes


def known(name: str, **changes: Any) -> dict[str, Any]:
    """Return those of some settings that a method has a key for."""
    fields = entry_of(name).Config.model_fields
    return {key: value for key, value in changes.items() if key in fields}


def config(name: str, *, published: bool = False, **changes: Any) -> Params:
    return entry_of(name).Config(**numbers(name, published=published, **changes))


def build(
    name: str, given: Given, *, published: bool = False, num_looks: int = 12, **changes: Any
) -> Any:
    """Build a method; its banks are given `num_looks` looks each."""
    method = entry_of(name).build(config(name, published=published, **changes), given)
    for net in method.nets.values():
        if isinstance(net, StyleBank):
            fill(net, num_looks)
    return method


def fill(bank: StyleBank, count: int) -> None:
    """Fill a bank with looks of `count` pairs, each of which lacks some classes."""
    rng = torch.Generator().manual_seed(0)
    classes, size = bank.styles.shape[1:]
    shown = torch.rand(count, classes, generator=rng) < 0.7
    styles = torch.randn(count, classes, size, generator=rng) * shown[..., None]
    state = {"styles": styles, "shown": shown}
    bank.load_state_dict(bank.state_dict() | state)


def doublings(name: str, count: int) -> dict[str, Any]:
    """Return the settings of a painter whose coarsest grid doubles so often."""
    fields = PAINTERS[name].Config.model_fields
    if "channels" in fields:
        return {"channels": [4] * (count + 1)}
    return {"num_doublings": count} if "num_doublings" in fields else {}


def joint_config(**changes: Any) -> joint.Config:
    return joint.Config(**JOINT | {"num_images": 8, "warm_up_images": 0} | changes)


def paper_steps(num_pairs: int) -> list[tuple[int, int, int]]:
    """Return (resolution, steps per phase, cumulative iterations) of the released schedule.

    steps = multiplier * int(150 num_pairs / batch); 4 pixels is only stabilised, every other
    resolution fades and then stabilises, each for that many steps.
    """
    table, total = [], 0
    for resolution, batch_size, multiplier in PAPER_LEVELS:
        steps = multiplier * int(150 * num_pairs / batch_size)
        total += steps * (1 if resolution == PAPER_LEVELS[0][0] else 2)
        table.append((resolution, steps, total))
    return table


def write_params(folder: Path, **sections: Any) -> str:
    """Write params.yaml with small `palette`, `compute` and `training`; JSON is YAML too."""
    usual = {"palette": PALETTE, "compute": COMPUTE, "training": TRAINING}
    text = json.dumps(usual | sections, indent=1)
    (folder / "params.yaml").write_text(text)
    return text


def write_artifact(
    out: Path,
    name: str,
    classes: ClassTable,
    size: tuple[int, int],
    palettes: Palettes | None = None,
    measures: dict[str, float] | None = None,
    num_looks: int = 10,
    train: Path | None = None,
    **changes: Any,
) -> None:
    """Write the artifact of a method as initialised: what follows needs no training.

    One that is fitted is, on the pairs of `train`.
    """
    entry = entry_of(name)
    if "levels" in entry.Config.model_fields:
        changes = {"levels": LEVELS} | changes
    settings = config(name, **changes)
    trained = None
    if entry.build:
        given = Given(classes.num_classes, size, palettes)
        method = build(name, given, num_looks=num_looks, **changes)
        kept = nn.ModuleDict({net: method.nets[net] for net in method.kept})
        curve = [{"images": 4}]
        trained = artifact.Trained(kept, artifact.critics_of(method), curve, measures or {})
    out.mkdir(parents=True, exist_ok=True)
    description = artifact.Description(name, settings.model_dump(mode="json"), classes, size, "f")
    if name in LAYOUTS_FITTED:
        assert train is not None, "objects are cut from real pairs"
        material = Material(PairSet(train), PairSet(train), flip=True)
        artifact.write_bank(out, description, entry.fit(settings, material).tensors())
        return
    artifact.write(out, description, trained)


def batch_of(image: torch.Tensor, label: torch.Tensor) -> Batch:
    """Return a batch of pairs 0, 1, 2 and so on, none of them mirrored."""
    row = torch.arange(len(label))
    return Batch(image, label, row, torch.zeros_like(row, dtype=torch.bool))


def make_pairs(ready, indices, seed, again=0):
    """The pairs of some indices, one batch."""
    painted = drawing.paint(ready, indices, seed, again)
    return [painted.pair(slot) for slot in range(len(indices))]
