"""The rooms are ours: nothing installed owns, shadows or extends one of their names."""

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOMS = ("data", "synth", "segment", "evaluate", "flows", "bench", "studio")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_the_folder_of_this_repository(room: str, root: Path) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None, f"{room}/ lacks __init__.py"
    assert Path(module.__file__).resolve() == root / room / "__init__.py"


@pytest.mark.parametrize("room", ROOMS)
def test_no_installed_distribution_owns_the_name(room: str) -> None:
    owners = importlib.metadata.packages_distributions().get(room, [])
    assert not owners, f"{room} also belongs to {owners}: uninstall it, our name is taken"


def test_tests_are_no_package(root: Path) -> None:
    found = [str(path.relative_to(root)) for path in (root / "tests").rglob("__init__.py")]
    assert not found, "a package under tests/ would be imported instead of a room"


def test_code_is_not_ignored(root: Path) -> None:
    lines = (root / ".gitignore").read_text().split()
    assert not {"data", "data/", "/data", "/data/", "data/*"} & set(lines)
