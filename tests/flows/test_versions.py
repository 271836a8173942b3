"""DVC does without git where there is none, and with it again; a line says what is missing."""

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.clone.versions import settle

LOG = logging.getLogger("test")


@pytest.fixture
def tree(toy: Path) -> Path:
    """The toy pipeline with the config of a clone, and without git."""
    (toy / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    return toy


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_tree_without_git_runs_and_one_line_says_what_is_missing(
    tree: Path, dvc: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        dvc(tree, "status")
    caplog.set_level(logging.INFO)
    settle(tree, LOG)
    assert len(said(caplog)) == 1 and "not a git clone: experiments" in said(caplog)[0]
    dvc(tree, "repro", "a")
    settle(tree, LOG)
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    caplog.clear()
    settle(tree, LOG)
    assert said(caplog) == [] and "no_scm" not in (tree / ".dvc" / "config.local").read_text()
    dvc(tree, "repro")


def test_what_the_project_says_itself_is_left_alone(toy: Path) -> None:
    before = (toy / ".dvc" / "config").read_text()
    assert "no_scm" in before
    settle(toy, LOG)
    assert (toy / ".dvc" / "config").read_text() == before
    assert not (toy / ".dvc" / "config.local").exists()


def test_git_need_not_be_installed(
    tree: Path,
    dvc: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "")
        settle(tree, LOG)
    assert said(caplog)[0].startswith("git is not installed: experiments")
    dvc(tree, "repro", "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_clone_of_another_user_names_the_fix_of_git(
    tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    for path in (tree, tree / ".git"):
        os.chown(path, 1234, 1234)
    caplog.set_level(logging.INFO)
    settle(tree, LOG)
    (line,) = said(caplog)
    assert line.endswith(f"git config --global --add safe.directory {tree}")
