"""What training leaves behind: weights, what they are, and the curve that led there."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from data.pairs.classes import ClassTable
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_bytes, write_json, write_text
from data.stage.params import Params
from synth.training.method import Given, Method

WEIGHTS, DESCRIPTION, CURVE = "weights.safetensors", "method.json", "curve.jsonl"
CRITICS = "critics.safetensors"  # for joints alone: production never reads it
BANK = "bank.safetensors"  # of a method without networks


class Trainable(Protocol):
    """What this file needs of an entry of a registry."""

    @property
    def Config(self) -> type[Params]:
        """The section of `params.yaml`."""
        ...

    @property
    def build(self) -> Callable[[Any, Given], Method] | None:
        """The method of a config, None where there is nothing to train."""
        ...


@dataclass(frozen=True)
class Trained:
    """What a training made: the networks kept, the critics, the curve, and measures.

    `measures` are numbers that the method takes of itself, for the report.
    """

    kept: nn.ModuleDict
    critics: nn.ModuleDict
    curve: Sequence[Mapping[str, float]] = ()
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What a trained method was: its name, numbers, classes and size (height, width).

    `method` is the registry name where the artifact has another one, that of a joint; `compute`
    what it was trained with, empty where nothing is trained.
    """

    name: str
    config: dict[str, Any]
    classes: ClassTable
    size: tuple[int, int]
    fingerprint: str
    method: str = ""
    compute: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # a frozen dataclass refuses plain assignment
        object.__setattr__(self, "method", self.method or self.name)


def write(out: Path, description: Description, trained: Trained | None) -> None:
    """Write an artifact into an existing folder; `trained` is None for what needs no training."""
    content = {
        "name": description.name,
        "config": description.config,
        "classes": description.classes.to_json(),
        "size": list(description.size),
        "fingerprint": description.fingerprint,
        "measures": {} if trained is None else dict(trained.measures),
        "num_parameters": {}
        if trained is None
        else {name: _count(net) for name, net in trained.kept.items()},
    }
    if trained is not None:
        content["compute"] = dict(description.compute)
    if description.method != description.name:
        content["method"] = description.method
    if trained is not None:
        _save(out / WEIGHTS, trained.kept, description.fingerprint)
        if len(trained.critics):
            _save(out / CRITICS, trained.critics, description.fingerprint)
        write_text(out / CURVE, "".join(json.dumps(point) + "\n" for point in trained.curve))
    write_json(out / DESCRIPTION, content)


def write_bank(out: Path, description: Description, tensors: Mapping[str, Tensor]) -> None:
    """Write the artifact of a method without networks: its description and its tensors."""
    write(out, description, None)
    # sorted, and one key of its own: bytes would differ by run
    content = {name: tensors[name].contiguous() for name in sorted(tensors)}
    write_bytes(out / BANK, save(content, {"fingerprint": description.fingerprint}))


def load_bank(path: Path) -> dict[str, Tensor]:
    """Read what `write_bank` wrote."""
    if not (path / BANK).is_file():
        raise UserError(f"{path} holds no {BANK}; run the stage that makes it")
    return load_file(path / BANK)


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
        content.get("compute", {}),
    )


def checked(path: Path, real: PairSet) -> Description:
    """Read what an artifact is; it must have been trained on the classes and size of `real`."""
    description = describe(path)
    if description.classes != real.classes or description.size != real.size:
        raise UserError(f"{path} was trained on other classes or at another size; train it again")
    return description


def config_of(path: Path, entry: Trainable) -> Any:
    """Return the numbers that an artifact was trained with; `UserError` for other keys."""
    try:
        return entry.Config(**describe(path).config)
    except ValidationError:
        raise UserError(f"{path} was trained with other settings; train it again") from None


def load(path: Path, entry: Trainable, given: Given) -> tuple[Any, nn.ModuleDict]:
    """Build the method of an artifact and load the networks it keeps, as `load_kept` does.

    Raises `UserError` for an artifact of what needs no training.
    """
    if entry.build is None:
        raise UserError(f"{path} was not trained, so it holds no networks; name a trained one")
    method = entry.build(config_of(path, entry), given)
    return method, load_kept(path, method)


def load_kept(path: Path, method: Method) -> nn.ModuleDict:
    """Load the kept weights of an artifact into a method's own networks, for drawing.

    Returns them frozen and in eval mode.
    """
    kept = nn.ModuleDict({name: method.nets[name] for name in method.kept})
    kept.load_state_dict(load_file(path / WEIGHTS))
    return kept.eval().requires_grad_(False)


def load_critics(path: Path, method: Method) -> None:
    """Load the critics of an artifact into a method's own, for a training that goes on."""
    critics = critics_of(method)
    if not len(critics):
        return
    if not (path / CRITICS).is_file():
        raise UserError(f"{path} holds no {CRITICS}; train it again")
    critics.load_state_dict(load_file(path / CRITICS))


def critics_of(method: Method) -> nn.ModuleDict:
    """Return the critics of a method as they are."""
    return nn.ModuleDict({name: method.nets[name] for name in method.critics})


def _save(path: Path, nets: nn.ModuleDict, fingerprint: str) -> None:
    state = {name: tensor.cpu().contiguous() for name, tensor in nets.state_dict().items()}
    # one key only: safetensors writes several in random order, and bytes would differ by run
    write_bytes(path, save(state, {"fingerprint": fingerprint}))


def _count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
