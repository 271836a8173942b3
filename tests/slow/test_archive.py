"""A downloaded archive runs: without git, and without an activated environment."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_an_archive_runs_by_the_commands_of_a_clone(pristine: Any, copy: Callable) -> None:
    project = copy(pristine)
    shutil.rmtree(project.root / ".git")
    said = project.run("python", "-m", "flows.clone.workspace").strip()
    assert said.count("\n") == 0 and "is not a git clone: experiments (dvc exp" in said
    for preset in ("tiny", "default", "tiny"):
        project.run("python", "-m", "data.tools.preset", preset)
    # An environment holds nothing of the system's python but the links that lead to it.
    (project.root / ".venv").symlink_to(Path(sys.prefix))
    bare = project.with_settings({"PATH": "/usr/bin:/bin"})
    bare.run(".venv/bin/dvc", "repro", "palette")
    assert (project.root / "artifacts" / "palette").is_dir()
    assert "up to date" in bare.run(".venv/bin/dvc", "status", "palette")
