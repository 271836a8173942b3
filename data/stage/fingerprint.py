"""Say what made an artifact, and where an unfinished one is kept."""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOMS = ("data", "synth", "segment", "evaluate", "flows", "bench", "studio")
ROOT = Path(__file__).resolve().parents[2]


def fingerprint(params: Any, inputs: Sequence[Path]) -> str:
    """Hash parameters (JSON data) and inputs into 64 hexadecimal digits.

    A folder with a manifest is represented by it (it holds the hash of every shard), any other
    folder by all its files. Code is left out on purpose: a refactored stage that makes the same
    output makes the same bytes, and nothing downstream runs again.
    """
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for path in inputs:
        for name, file in _files(path):
            _add(digest, name, file)
    return digest.hexdigest()


def scratch(stage: str, fingerprint: str) -> Path:
    """Return the untracked folder in which a stage keeps its checkpoints.

    Keyed by the fingerprint and by the code of this project that the process has loaded, so a
    run with other parameters or other code never resumes from this one's checkpoint. DVC sets
    `DVC_ROOT`, which is the outer repository also in a temporary experiment folder.
    """
    digest = hashlib.sha256(fingerprint.encode())
    for name, file in _code():
        _add(digest, name, file)
    base = os.environ.get("SCENE_PALETTE_SCRATCH")
    root = Path(base) if base else Path(os.environ.get("DVC_ROOT", ".")) / ".scratch"
    return root / f"{stage}-{digest.hexdigest()[:16]}"


def _add(digest: Any, name: str, file: Path) -> None:
    digest.update(name.encode() + hashlib.sha256(file.read_bytes()).digest())


def _files(path: Path) -> list[tuple[str, Path]]:
    manifest = path / "manifest.json"
    if path.is_file():
        return [(path.name, path)]
    if manifest.is_file():
        return [(f"{path.name}/manifest.json", manifest)]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return [(str(file.relative_to(path)), file) for file in files]


def _code() -> list[tuple[str, Path]]:
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (name.split(".")[0] in ROOMS or name == "__main__"):
            path = Path(file).resolve()
            if path.is_relative_to(ROOT):
                found[str(path.relative_to(ROOT))] = path
    return sorted(found.items())
