"""The rooms are ours, and small enough to be taken in: names, entries, lines, arguments."""

import ast
import importlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

MAX_ENTRIES, MAX_LINES, MAX_FUNCTION, MAX_ARGUMENTS = 14, 300, 50, 8
# What may have more, how many, and why.
MORE_ENTRIES = {
    "data/sources": 19,  # one file for each dataset
    "data/sources/streets": 17,  # finished: nothing is added
    "synth/painters": 15,  # one file for each published method
}

Function = ast.FunctionDef | ast.AsyncFunctionDef

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


def rooms_files(root: Path) -> dict[str, Path]:
    files = [file for room in ROOMS for file in (root / room).rglob("*.py")]
    assert len(files) > 150
    return {file.relative_to(root).as_posix(): file for file in files}


def functions(file: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, Function):
            yield node


def test_a_folder_has_few_entries(root: Path) -> None:
    entries: dict[str, set[str]] = {}
    for name in rooms_files(root):
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if parts[depth] != "__init__.py":
                entries.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    counts = {name: len(found) for name, found in entries.items()}
    wrong = {n: c for n, c in counts.items() if c > MORE_ENTRIES.get(n, MAX_ENTRIES)}
    assert not wrong, f"more than {MAX_ENTRIES} entries side by side; group what belongs together"
    assert all(counts[name] == most for name, most in MORE_ENTRIES.items()), "lower it, it shrank"


def test_a_file_is_read_in_one_sitting(root: Path) -> None:
    counts = {name: len(file.read_text().splitlines()) for name, file in rooms_files(root).items()}
    wrong = {name: count for name, count in counts.items() if count > MAX_LINES}
    assert not wrong, f"more than {MAX_LINES} lines"


def test_a_function_is_seen_at_once(root: Path) -> None:
    wrong = [
        (name, function.name, length)
        for name, file in rooms_files(root).items()
        for function in functions(file)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION
    ]
    assert not wrong, f"more than {MAX_FUNCTION} lines"


def test_a_function_takes_few_arguments(root: Path) -> None:
    wrong = []
    for name, file in rooms_files(root).items():
        for function in functions(file):
            given = function.args
            names = [it.arg for it in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            count = len([it for it in names if it not in ("self", "cls")])
            if count > MAX_ARGUMENTS:
                wrong.append((name, function.name, count))
    assert not wrong, f"more than {MAX_ARGUMENTS} arguments"
