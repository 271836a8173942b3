"""Changes of params.yaml in DVC's words (`-S painters.spade.width=8`), checked before a run."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from flows.clone.mending import PARAMS
from flows.graph import read_graph

_MAX_NAME = 60


def name_of(changes: Sequence[str]) -> str:
    """Return the name of the DVC experiment that makes these changes."""
    words = re.sub(r"[^a-z0-9]+", "-", "-".join(changes).lower()).strip("-")
    return f"ablation-{words}"[:_MAX_NAME].rstrip("-")


def changed(root: Path, changes: Sequence[str]) -> str:
    """Return the text of params.yaml with some changes, comments kept.

    Raises `ValueError` for a key that is not there, a value of another kind than before, and a
    pipeline that DVC cannot read or a shell might misread.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("dvc.yaml", str(PARAMS)):
            shutil.copy(root / name, folder)
        file = Path(folder) / PARAMS
        before = _load(file)
        try:
            apply_overrides(file, list(changes))
        except DvcException as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise ValueError(f"{' '.join(changes)}: {reason}") from None
        _compare(before, _load(file), path="", budget=before.get("budget"))
        Repo.init(folder, no_scm=True).close()
        read_graph(Path(folder))
        return file.read_text(encoding="utf-8")


def _load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _compare(before: Any, after: Any, path: str, budget: Any) -> None:
    if isinstance(before, dict) and not isinstance(after, dict):
        before = before.get(budget, before)  # one value instead of one for each budget
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            _compare(before[key], after[key], f"{path}.{key}".lstrip("."), budget)
    elif before is not None and after is not None and _kind(before) != _kind(after):
        raise ValueError(f"`{path}` is a {_kind(before)}; {after!r} is a {_kind(after)}")


def _kind(value: Any) -> str:
    kinds = {bool: "switch", int: "number", float: "number", str: "text", list: "list"}
    return kinds.get(type(value), "section")
