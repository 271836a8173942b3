"""What training leaves behind: weights, what they are, and the curve that led there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.torch import load_file, save
from torch import nn

from data.pairs.classes import ClassTable
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_bytes, write_json, write_text

WEIGHTS, DESCRIPTION, CURVE = "weights.safetensors", "method.json", "curve.jsonl"


@dataclass(frozen=True)
class Description:
    """What a trained method was: its name, numbers, classes and size (height, width).

    `method` is the registry name where the artifact has another one, that of a joint.
    """

    name: str
    config: dict[str, Any]
    classes: ClassTable
    size: tuple[int, int]
    fingerprint: str
    method: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", self.method or self.name)


def write(
    out: Path,
    description: Description,
    nets: nn.ModuleDict | None,
    curve: list[dict[str, float]],
    measures: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Write an artifact into an existing folder; `nets` is None for what needs no training.

    `measures` are numbers that the method takes of itself, for the report.
    """
    content = {
        "name": description.name,
        "config": description.config,
        "classes": description.classes.to_json(),
        "size": list(description.size),
        "fingerprint": description.fingerprint,
        "measures": dict(measures),
        "num_parameters": {} if nets is None else {n: _count(net) for n, net in nets.items()},
    }
    if description.method != description.name:
        content["method"] = description.method
    if nets is not None:
        state = {name: tensor.contiguous() for name, tensor in nets.state_dict().items()}
        # one key only: safetensors writes several in random order, and bytes would differ by run
        write_bytes(out / WEIGHTS, save(state, {"fingerprint": description.fingerprint}))
        write_text(out / CURVE, "".join(json.dumps(point) + "\n" for point in curve))
    write_json(out / DESCRIPTION, content)


def describe(path: Path) -> Description:
    """Read what an artifact is, without its weights."""
    if not (path / DESCRIPTION).is_file():
        raise UserError(f"{path} holds no trained method; run the stage that makes it")
    content = read_json(path / DESCRIPTION)
    return Description(
        content["name"],
        content["config"],
        ClassTable.from_json(content["classes"]),
        tuple(content["size"]),
        content["fingerprint"],
        content.get("method", ""),
    )


def checked(path: Path, real: PairSet) -> Description:
    """Read what an artifact is; it must have been trained on the classes and size of `real`."""
    description = describe(path)
    if description.classes != real.classes or description.size != real.size:
        raise UserError(f"{path} was trained on other classes or at another size; train it again")
    return description


def load_nets(path: Path, nets: nn.ModuleDict, averaged: Mapping[str, float]) -> nn.ModuleDict:
    """Load the weights of an artifact into the averaged ones of a method's networks, for drawing.

    Returns them frozen and in eval mode.
    """
    kept = nn.ModuleDict({name: nets[name] for name in averaged})
    kept.load_state_dict(load_file(path / WEIGHTS))
    return kept.eval().requires_grad_(False)


def _count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
