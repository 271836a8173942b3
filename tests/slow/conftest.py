"""The real pipeline with tiny numbers, in clones that a test may break."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML


@dataclass(frozen=True)
class Project:
    """A clone of this repository and what a user does in it."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    def with_settings(self, settings: dict[str, str]) -> "Project":
        """Return the same clone for a user with more environment variables."""
        return replace(self, settings=settings)

    def environment(self) -> dict[str, str]:
        """Return the environment of its commands."""
        # One thread for each process: tiny stages are too small to share.
        quiet = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **quiet, **self.settings}

    def run(self, *words: str, status: int = 0) -> str:
        """Run a command, check its exit status, return what it printed."""
        shown = subprocess.run(
            words,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert shown.returncode == status, f"{' '.join(words)}: {shown.returncode}\n{shown.stdout}"
        return shown.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own, output to be read."""
        return subprocess.Popen(
            words,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def dvc(self, *words: str, status: int = 0) -> str:
        """Run DVC."""
        return self.run("dvc", *words, status=status)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    def set(self, **values: Any) -> None:
        """Write values into params.yaml; `a__b` stands for `a.b`."""
        yaml = YAML()
        path = self.root / "params.yaml"
        params = yaml.load(path.read_text())
        for name, value in values.items():
            *sections, key = name.split("__")
            node = params
            for section in sections:
                node = node[section]
            node[key] = value
        with path.open("w") as file:
            yaml.dump(params, file)

    def locked(self) -> dict[str, Any]:
        """Return what dvc.lock says of every stage."""
        text = (self.root / "dvc.lock").read_text()
        return YAML(typ="safe", pure=True).load(text)["stages"]


def clone(origin: Path, root: Path) -> Project:
    """Copy what git tracks, or would track, into a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=origin,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (origin / name).is_file() and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin / name, root / name)
    project = Project(root)
    project.run("git", "init", "--quiet")
    # `dvc exp run` commits too, and a bare machine knows nobody's name.
    project.run("git", "config", "user.name", "test")
    project.run("git", "config", "user.email", "test@localhost")
    project.commit("clone")
    return project


@pytest.fixture(scope="session")
def pristine(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with the tiny preset that has not run yet. Not to be changed."""
    project = clone(root, tmp_path_factory.mktemp("pristine"))
    project.run("python", "-m", "data.tools.preset", "tiny")
    project.commit("tiny")
    return project


@pytest.fixture(scope="session")
def finished(pristine: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone in which `dvc repro` has run, dvc.lock committed. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "clone"
    shutil.copytree(pristine.root, folder)
    project = Project(folder)
    project.dvc("repro")
    project.commit("run")
    return project


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Project], Project]:
    """Make a copy that a test may change, outputs and cache included."""

    def make(project: Project) -> Project:
        folder = tmp_path / "copy"
        shutil.copytree(project.root, folder, symlinks=True)
        return Project(folder)

    return make
