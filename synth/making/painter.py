"""The painter of a set: its name, which is that of one that sees layouts, and its networks."""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import nn

from data.pairs.shards import PairSet
from synth.painters import PAINTERS
from synth.training import artifact
from synth.training.method import Given, Painter
from synth.unconditional import UNCONDITIONAL


def sees_layouts(name: str) -> str:
    """Return the name of a painter as it is; ValueError for a generator that sees no layout."""
    if name in UNCONDITIONAL:
        raise ValueError(
            f"{name} makes images from noise alone: they have no labels, so no pairs; name a "
            f"painter ({', '.join(PAINTERS)}); `make bench-painters` compares images"
        )
    return name


PainterName = Annotated[str, AfterValidator(sees_layouts)]
"""A painter of the registry, or a joint that fine-tuned one."""


def load_painter(
    path: Path, name: str, real: PairSet, device: torch.device
) -> tuple[Painter, nn.ModuleDict]:
    """Build the painter of the registry name `name` and load its trained networks."""
    given = Given(real.classes.num_classes, real.size)
    method, nets = artifact.load(path, PAINTERS[name], given)
    return method, nets.to(device)
