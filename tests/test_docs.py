"""README and docs/ name what is there: files, functions, links, modules, make targets."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DATED = ("log.md", "endurance.md")  # say what was, not what is
ROOMS = ("data", "synth", "segment", "evaluate", "flows", "studio", "bench")
README_LINES = 150

PLACE = re.compile(r"`([\w/]+\.py)(?:::([\w.]+))?`")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
MODULE = re.compile(rf"python -m ((?:{'|'.join(ROOMS)})(?:\.\w+)*)")


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    """A page of the project."""
    return request.param


def defined(path: Path) -> set[str]:
    """Return the names that a module defines, methods with their class."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
    return found


def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_places_in_the_code_are_there(page: Path) -> None:
    for path, name in PLACE.findall(page.read_text(encoding="utf-8")):
        if page.name in DATED or "/" not in path:
            continue
        assert (ROOT / path).is_file(), f"{page.name} names {path}"
        assert not name or name in defined(ROOT / path), f"{page.name} names {path}::{name}"


def test_modules_that_are_started_are_there(page: Path) -> None:
    if page.name in DATED:
        return
    for module in MODULE.findall(page.read_text(encoding="utf-8")):
        assert importlib.util.find_spec(module) is not None, f"{page.name} starts {module}"


def test_make_targets_are_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name} says make {target}"


def test_readme_is_short_and_the_tour_has_ten_stops() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES
    stops = re.findall(r"^\*\*(\d+)\. ", (ROOT / "docs/tour.md").read_text(), re.MULTILINE)
    assert stops == [str(number) for number in range(1, 11)]
