"""Git beside a run: DVC is told to do without it where there is none, and a line says what lacks.

`python -m flows.clone.versions` does so for the current folder.
"""

import logging
import os
import re
import subprocess
from pathlib import Path
from typing import Any

Log = logging.Logger | Any

_TRUST = re.compile(r"git config --global --add safe\.directory .*")
_LACKS = "experiments (dvc exp, the deployment `ablation`) and the commit in the report are missing"


def settle(root: Path, log: Log) -> None:
    """Make DVC work in a source tree without git, and in a clone with it again."""
    command = ["git", "-C", str(root), "rev-parse", "--show-toplevel"]
    env = {**os.environ, "LC_ALL": "C"}
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    except FileNotFoundError:
        log.info(f"git is not installed: {_LACKS}")
        _use_git(root, used=any((it / ".git").exists() for it in (root, *root.resolve().parents)))
        return
    trust = _TRUST.search(asked.stderr)
    if trust:
        log.info(f"git does not trust {root.resolve()}, which another user owns: {trust[0]}")
    elif asked.returncode:
        log.info(f"{root.resolve()} is not a git clone: {_LACKS}")
        _use_git(root, used=False)
    else:
        _use_git(root, used=True)


def _use_git(root: Path, *, used: bool) -> None:
    from dvc.config import Config

    folder = root / ".dvc"
    if used is not bool(Config(str(folder))["core"].get("no_scm", False)):
        return
    local: Any
    with Config(str(folder), validate=False).edit("local") as local:
        if used:
            local.get("core", {}).pop("no_scm", None)
        else:
            local.setdefault("core", {})["no_scm"] = True


def main() -> None:
    """Settle the source tree in the current folder; what is missing, a run says."""
    settle(Path.cwd(), logging.getLogger("scene_palette"))


if __name__ == "__main__":
    main()
