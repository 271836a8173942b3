"""What holds for all methods at once: nobody asks for one by name, and none looks into another."""

import ast
from pathlib import Path

import pytest

from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.unconditional import UNCONDITIONAL
from tests.synth import small

REGISTRIES = {"layouts": LAYOUTS, "painters": PAINTERS, "unconditional": UNCONDITIONAL}
# Also a source of pairs, and a way to adapt.
WORDS = {"real", "none"}


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, folder
    return found


def test_no_code_of_synth_asks_for_a_method_by_its_name(root: Path) -> None:
    names = set(small.EVERY) - WORDS
    for path in sources(root / "synth"):
        if path.parent.name in REGISTRIES and path.name == "__init__.py":
            continue
        nodes = ast.walk(ast.parse(path.read_text()))
        asked = {node.value for node in nodes if isinstance(node, ast.Constant)} & names
        assert not asked, f"{path}: ask its entry what it can do instead of {asked}"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_method_imports_no_other_and_what_they_share_imports_none(root: Path, kind: str) -> None:
    methods = {f"synth.{kind}.{name}" for name in REGISTRIES[kind]}
    for path in sources(root / "synth" / kind):
        if path == root / "synth" / kind / "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                whole = {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
                assert not whole & methods, f"{path} imports {whole & methods}"


def test_every_method_has_its_settings_here() -> None:
    assert set(small.PUBLISHED) == set(small.EVERY)
    for name in small.PUBLISHED:
        lengths = {"levels", "num_images"}  # of a training
        keys = {*small.PUBLISHED[name], *small.TINY.get(name, {})}
        assert keys | lengths >= set(small.entry_of(name).Config.model_fields), name


def test_edited_layouts_descend_from_real_ones() -> None:
    for name, entry in LAYOUTS.items():
        assert entry.derives or not entry.edits, name


@pytest.mark.parametrize("kind", ["layouts", "painters"])
def test_what_can_be_joined_is_trained(kind: str) -> None:
    for name, entry in REGISTRIES[kind].items():
        assert entry.build or not entry.joins, name
