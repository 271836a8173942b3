"""Where a report comes from: revision, preset, parameters, versions, wall times."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from data.stage.errors import UserError
from data.stage.params import read_raw

Json = dict[str, Any]

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "pyarrow",
    "pillow",
    "onedl-mmsegmentation",
    "onedl-mmengine",
    "onedl-mmcv",
    "dvc",
    "prefect",
    "matplotlib",
)
OUTSIDE = "(outside the repository)"
NO_PRESET = "default"  # what params.yaml says when no overlay was merged
# A run writes dvc.lock, a preset or experiment params.yaml (printed whole in the report), and
# publishing evaluate/results: none of these changes the code that the revision stands for.
NOT_CODE = ("dvc.lock", "params.yaml", "evaluate/results")


def revision() -> str:
    """Return the git commit, with `-dirty` when tracked code was edited; `unknown` without git.

    The answer depends on the working tree only, so a rerun on one commit gives the same bytes.
    """
    excluded = [f":(exclude,top){name}" for name in NOT_CODE]
    try:
        commit = _git("rev-parse", "HEAD")
        edits = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *excluded)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if edits else commit


def preset() -> str | None:
    """Return the preset that was merged into the parameters, or None."""
    name = optional("preset")
    return None if name == NO_PRESET else name


def optional(section: str) -> Any:
    """Read a section of the parameters that may be absent."""
    with suppress(UserError):
        return read_raw(section)
    return None


def used_params(rows: Sequence[str]) -> Json:
    """Return the parameters that this run depends on, without entries of methods it never uses."""
    dataset, segment = read_raw("dataset"), read_raw("segment")
    table, sets, arch = read_raw("rows"), optional("sets") or {}, segment.get("arch")
    made = list(sets.values())
    augments = [table[name].get("augment", []) for name in rows]
    words = [word for found in augments for word in ([found] if isinstance(found, str) else found)]
    result = {
        "preset": preset(),
        "budget": optional("budget"),
        "dataset": _without_others(dataset, dataset["source"]),
        "palette": optional("palette"),
        "layouts": _of_methods("layouts", [entry["layouts"] for entry in made]),
        "training": optional("training"),
        "painters": _of_methods("painters", [entry["painter"] for entry in made]),
        "joints": _made_of("joints", made),
        "adaptive": _made_of("adaptive", made),
        "produce": optional("produce"),
        "trust": optional("trust"),
        "adapt": _of_methods("adapt", [table[name].get("adapt", "none") for name in rows]),
        "augment": _of_methods("augment", words),
        "segment": segment
        | {"archs": {key: v for key, v in segment.get("archs", {}).items() if key == arch}},
        "report": read_raw("report"),
    }
    used = {key: value for key, value in result.items() if value not in (None, {})}
    return _public(used | {"sets": sets, "rows": {name: table[name] for name in rows}})


def as_yaml(params: Mapping[str, Any]) -> str:
    """Return parameters as YAML text."""
    from io import StringIO

    from ruamel.yaml import YAML

    writer, text = YAML(typ="rt"), StringIO()
    writer.default_flow_style = None
    writer.width = 100
    writer.dump(dict(params), text)
    return text.getvalue()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers may depend on."""
    found = {"python": python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def timings(path: Path) -> list[Json]:
    """Return the last line of every stage, the report's own left out, in order of first run.

    The report leaves itself out, because otherwise no rerun could give the same bytes.
    """
    if not path.is_file():
        return []
    last: dict[str, Json] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["stage"] != "report":
            last[entry["stage"]] = entry
    return list(last.values())


def _of_methods(section: str, methods: Sequence[str]) -> Json:
    entries = optional(section) or {}
    return {name: entries[name] for name in dict.fromkeys(methods) if entries.get(name)}


def _made_of(section: str, made: Sequence[Json]) -> Json:
    """Return what is behind the names of `joints` or `adaptive` in sets, with its numbers."""
    names = [entry[key] for entry in made for key in ("layouts", "painter")]
    trained, numbers = optional(f"train.{section}") or {}, optional(section) or {}
    return {name: trained[name] | numbers[name] for name in dict.fromkeys(names) if name in trained}


def _without_others(dataset: Json, source: str) -> Json:
    """Leave out the sub-sections of other sources than the one in use."""
    kept = (source, "hold_out")
    return {k: v for k, v in dataset.items() if not isinstance(v, dict) or k in kept}


def _public(value: Any) -> Any:
    """Hide paths outside the repository: where someone keeps their data is their business."""
    if isinstance(value, dict):
        return {key: _public(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_public(entry) for entry in value]
    if isinstance(value, str) and (Path(value).is_absolute() or ".." in Path(value).parts):
        return OUTSIDE
    return value


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
