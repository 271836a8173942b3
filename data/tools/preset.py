"""Merge an overlay of `presets/` into `params.yaml`: `python -m data.tools.preset camvid`.

`python -m data.tools.preset default` takes the overlay out again.
"""

import hashlib
import io
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import write_text
from data.stage.params import PARAMS_FILE, by_budget, check_name

PRESETS = Path("presets")
DEFAULT = "default"
BASE = "base"
# Hash of what was written last, so that an overlay can be corrected and merged again.
WRITTEN = Path(".preset")
# The file before any overlay, where no git can tell.
KEPT = Path(".preset-base.yaml")


def merged(params: str, overlay: str, name: str, presets: Path = PRESETS) -> str:
    """Return the text of `params` with the values of `overlay`, comments kept, `preset` = `name`.

    Mappings merge key by key; every other value, lists included, replaces what was there, and one
    value may stand for those that a key has for each budget, which then does not follow it. Null in
    place of a mapping takes it out (a set, a row), unless it is a whole section of the file. An
    overlay may build on others of the folder `presets`: `base: [paper]` merges those first, in
    order, each once: what two bases build on stands before both.
    """
    yaml = _yaml()
    content = yaml.load(params)
    if overlay:
        for sections in dict(_stack(overlay, content, name, presets, ())).values():
            _merge(content, sections, path="")
    content["preset"] = name
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _stack(
    overlay: str, params: Any, name: str, presets: Path, above: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """Yield name and sections of an overlay's bases, then its own; `above` wait for it."""
    sections = _sections(overlay, params, name)
    bases = sections.pop(BASE, [])
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"{PRESETS / name}.yaml: `{BASE}` must be a list of presets, [paper]")
    for base in bases:
        if base in (*above, name):
            raise UserError(f"presets build on each other: {' -> '.join((*above, name, base))}")
        yield from _stack(_read(base, presets), params, base, presets, (*above, name))
    yield name, sections


def _read(name: str, presets: Path) -> str:
    """Return the text of an overlay; an unknown one lists what there is."""
    file = presets / f"{check_name(name)}.yaml"
    if not file.is_file():
        there = sorted(path.stem for path in presets.glob("*.yaml"))
        raise UserError(f"unknown preset {name!r}; there is {', '.join((DEFAULT, *there))}")
    try:
        return file.read_text(encoding="utf-8") or "{}"  # an empty file is not an overlay either
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text; write it again") from None


def _sections(overlay: str, params: Any, name: str) -> Any:
    """Parse an overlay; raise `UserError` unless it holds sections that `params` has."""
    from ruamel.yaml.error import YAMLError

    file = f"{PRESETS / name}.yaml"
    try:
        sections = _yaml().load(overlay)
    except YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(sections, dict) or not sections:
        raise UserError(
            f"{file} holds no section of {PARAMS_FILE}; what wrote it may have failed: write it "
            "again, or remove it"
        )
    unknown = [str(key) for key in sections if key not in params and key != BASE]
    if unknown:
        raise UserError(
            f"{file} has {', '.join(unknown)}, which {PARAMS_FILE} has not; there is "
            f"{', '.join(map(str, params))}"
        )
    return sections


def apply(name: str, root: Path) -> None:
    """Write the committed `params.yaml` of `root`, merged with one overlay, over the file.

    Without git, a copy that is made before the first overlay takes the place of the commit. Raises
    `UserError` when the overlay does not exist, or when the file holds edits that are neither
    committed nor made by this command: those would be lost.
    """
    presets = root / PRESETS
    overlay = "" if name == DEFAULT else _read(name, presets)
    base = _committed(root) or _kept(root)
    params = root / PARAMS_FILE
    current = params.read_text(encoding="utf-8") if params.is_file() else base
    if current != base and _hash(current) != _last(root):
        raise UserError(
            f"{PARAMS_FILE} has uncommitted edits, which a preset would overwrite; commit them, "
            f"or drop them with `git checkout {PARAMS_FILE}`"
        )
    text = merged(base, overlay, name, presets) if overlay else base
    write_text(root / WRITTEN, _hash(text) + "\n")
    write_text(params, text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _last(root: Path) -> str:
    """Return the hash of the params.yaml that this command wrote last, empty for none."""
    file = root / WRITTEN
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def _committed(root: Path) -> str | None:
    """Return `params.yaml` as the last commit has it, None where git has no such file."""
    command = ["git", "show", f"HEAD:./{PARAMS_FILE}"]
    env = {**os.environ, "LC_ALL": "C"}
    try:
        shown = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, env=env
        )
    except FileNotFoundError:  # git is not installed
        return None
    trust = re.search(r"git config --global --add safe\.directory .*", shown.stderr)
    if trust:
        raise UserError(f"git does not trust this clone, which another user owns: {trust[0]}")
    return None if shown.returncode else shown.stdout


def _kept(root: Path) -> str:
    """Return `params.yaml` as it was before a preset, by the copy that is kept without git."""
    kept, params = root / KEPT, root / PARAMS_FILE
    if not params.is_file():
        raise UserError(f"{PARAMS_FILE} is missing; start this from the root of the source tree")
    current = params.read_text(encoding="utf-8")
    if kept.is_file() and _hash(current) == _last(root):
        return kept.read_text(encoding="utf-8")
    if kept.is_file() and _yaml().load(current).get("preset", DEFAULT) != DEFAULT:
        raise UserError(
            f"{PARAMS_FILE} was edited after a preset was merged into it; make the edits in "
            f"{PRESETS}/, or drop them with `cp {KEPT} {PARAMS_FILE}`"
        )
    write_text(kept, current)
    return current


def _merge(base: Any, overlay: Any, path: str) -> None:
    for key, value in overlay.items():
        where = f"{path}{key}"
        old = base.get(key)
        if by_budget(value) or (by_budget(old) and not isinstance(value, dict)):
            base[key] = value
        elif value is None and path and (isinstance(old, dict) or _lacks_entry(base, key)):
            base.pop(key, None)
        elif key in base and isinstance(old, dict) != isinstance(value, dict) and old is not None:
            raise UserError(f"preset: `{where}` must be a section in both files or in neither")
        elif isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value, path=f"{where}.")
            if not old and value:  # written in a line: a comment may not stand before `{}`
                base[key] = {}
                base.ca.items.pop(key, None)
        else:
            base[key] = value


def _lacks_entry(section: Any, key: str) -> bool:
    """Whether a section of mappings alone, such as sets or rows, has no such entry to take out."""
    return key not in section and all(isinstance(value, dict) for value in section.values())


def _yaml() -> Any:
    from ruamel.yaml import YAML, RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes null as `null`, not as nothing."""

    Representer.add_representer(
        type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    yaml = YAML()  # round trip: comments and order survive
    yaml.Representer = Representer
    yaml.width = 4096
    yaml.preserve_quotes = True
    return yaml


def main(name: str) -> None:
    """Merge presets/NAME.yaml into params.yaml; `default` restores the committed file."""
    apply(name, Path())


if __name__ == "__main__":
    run(main)
