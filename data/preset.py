"""Merge an overlay of `presets/` into `params.yaml`: `python -m data.preset camvid`.

`python -m data.preset default` takes the overlay out again.
"""

import io
import subprocess
from pathlib import Path
from typing import Any

from data.cli import run
from data.errors import UserError
from data.params import PARAMS_FILE, check_name

PRESETS = Path("presets")
DEFAULT = "default"


def merged(base: str, overlay: str, name: str) -> str:
    """Return the text of `base` with the values of `overlay`, comments kept, `preset` = `name`.

    Mappings merge key by key; every other value, lists included, replaces what was there.
    """
    yaml = _yaml()
    params = yaml.load(base)
    _merge(params, yaml.load(overlay) or {}, path="")
    params["preset"] = name
    text = io.StringIO()
    yaml.dump(params, text)
    return text.getvalue()


def apply(name: str, root: Path) -> None:
    """Write the committed `params.yaml` of `root`, merged with one overlay, over the file.

    Raises `UserError` when the overlay does not exist, or when the file holds edits that are
    neither committed nor made by an overlay: those would be lost.
    """
    check_name(name)
    there = sorted(path.stem for path in (root / PRESETS).glob("*.yaml"))
    if name not in (DEFAULT, *there):
        raise UserError(f"unknown preset {name!r}; there is {', '.join((DEFAULT, *there))}")
    base = _committed(root)
    params = root / PARAMS_FILE
    current = params.read_text(encoding="utf-8") if params.is_file() else base
    if current != base and current != _overlaid(base, _preset_of(current), root):
        raise UserError(
            f"{PARAMS_FILE} has uncommitted edits, which a preset would overwrite; commit them, "
            f"or drop them with `git checkout {PARAMS_FILE}`"
        )
    temporary = params.with_name(f"{params.name}.tmp")
    temporary.write_text(_overlaid(base, name, root), encoding="utf-8")
    temporary.replace(params)


def _overlaid(base: str, name: str, root: Path) -> str:
    overlay = root / PRESETS / f"{name}.yaml"
    if name == DEFAULT or not overlay.is_file():
        return base
    return merged(base, overlay.read_text(encoding="utf-8"), name)


def _preset_of(text: str) -> str:
    params = _yaml().load(text)
    name = params.get("preset", DEFAULT) if isinstance(params, dict) else DEFAULT
    return name if isinstance(name, str) else DEFAULT


def _committed(root: Path) -> str:
    """Return `params.yaml` as the last commit has it."""
    command = ["git", "show", f"HEAD:./{PARAMS_FILE}"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise UserError(
            f"git does not show a committed {PARAMS_FILE} ({shown.stderr.strip()}); presets are "
            "merged into the committed file, so work in a clone and commit it first"
        )
    return shown.stdout


def _merge(base: Any, overlay: Any, path: str) -> None:
    for key, value in overlay.items():
        where = f"{path}{key}"
        old = base.get(key)
        if key in base and isinstance(old, dict) != isinstance(value, dict) and old is not None:
            raise UserError(f"preset: `{where}` must be a section in both files or in neither")
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value, path=f"{where}.")
        else:
            base[key] = value


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
