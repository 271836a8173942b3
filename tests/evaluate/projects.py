"""Where a finished project has things, and how a test changes its parameters."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ARTIFACTS, OUT = Path("artifacts"), Path("evaluate")
YAML_FILE = YAML(typ="safe", pure=True)


def change(**sections: Any) -> None:
    """Change keys of sections of params.yaml."""
    params = YAML_FILE.load(Path("params.yaml"))
    for name, keys in sections.items():
        params.setdefault(name, {}).update(keys)
    YAML_FILE.dump(params, Path("params.yaml"))
