"""Read sections of `params.yaml` into frozen, checked objects."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from data.stage.errors import UserError

PARAMS_FILE = Path("params.yaml")
BUDGETS = ("minutes", "hours")  # words of the key `budget`
NAME = re.compile(r"[a-z0-9_]+")
Pretrained = Literal["efficientnet_lite0"]  # what `pretrained` may be: see data/pretrained.py

P = TypeVar("P", bound="Params")


class Params(BaseModel):
    """A section of `params.yaml`: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read(section: str, schema: type[P], path: Path = PARAMS_FILE) -> P:
    """Read one dotted section, for example `painters.oasis`, into its class.

    Raises `UserError` naming the file, and for every wrong key its full path and the reason.
    """
    return checked(read_raw(section, path), section, schema, path)


def checked(raw: Any, section: str, schema: type[P], path: Path = PARAMS_FILE) -> P:
    """Turn what a section holds, or is to hold, into its class; raises as `read` does."""
    try:
        return schema.model_validate(raw if raw is not None else {})
    except ValidationError as error:
        problems = "; ".join(_problem(section, entry) for entry in error.errors())
        raise UserError(f"{path}: {problems}") from None


def read_raw(section: str, path: Path = PARAMS_FILE) -> Any:
    """Read one dotted section as plain dicts, lists, numbers and strings (YAML 1.2).

    Where a value is given for each budget, it is the one of the key `budget` of the file.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise UserError(f"{path} is missing; start the stage from the root of the repository")
    try:
        node = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    budget = node.get("budget", BUDGETS[0]) if isinstance(node, dict) else BUDGETS[0]
    if budget not in BUDGETS:
        raise UserError(f"{path}: `budget` = {budget!r} is unknown; write {' or '.join(BUDGETS)}")
    walked = []
    for key in section.split("."):
        if not isinstance(node, dict) or key not in node:
            there = ", ".join(map(str, node)) if isinstance(node, dict) else "nothing"
            where = ".".join(walked) or "the top level"
            raise UserError(f"{path} has no `{section}`; {where} has {there}")
        walked.append(key)
        node = node[key]
    return _for_budget(node, budget)


def by_budget(value: Any) -> bool:
    """Whether this is a value for each budget: `{minutes: 2000, hours: 32000}`."""
    return isinstance(value, dict) and value.keys() == set(BUDGETS)


def check_name(name: str) -> str:
    """Return a name that is safe in file names and command lines, or raise `UserError`.

    Names are lower-case letters, digits and underscores: DVC runs commands through a shell.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"name {name!r} is not allowed; use lower-case letters, digits and _ only")
    return name


def choose(name: str, registry: Mapping[str, Any], what: str) -> Any:
    """Look a name up in a registry; an unknown one lists what there is."""
    if name not in registry:
        raise UserError(f"unknown {what} {name!r}; there is {', '.join(registry)}")
    return registry[name]


def _for_budget(node: Any, budget: str) -> Any:
    """Choose the value of the budget wherever there is one for each."""
    if by_budget(node):
        return node[budget]
    if isinstance(node, dict):
        return {key: _for_budget(value, budget) for key, value in node.items()}
    return node


def _problem(section: str, entry: Any) -> str:
    where = ".".join([section, *map(str, entry["loc"])])
    if entry["type"] == "extra_forbidden":
        return f"`{where}` is not a known key; remove it or correct its spelling"
    if entry["type"] == "missing":
        return f"`{where}` is missing"
    return f"`{where}` = {entry['input']!r}: {entry['msg'].lower()}"
