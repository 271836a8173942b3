"""Overlays: what they change, what they keep, what they refuse."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from data.stage.errors import UserError
from data.tools import preset

PARAMS = """\
# The head.
preset: default

# == one ==
one:
  # How many.
  count: 3
  rate: 2.0e-4 # beside
  names: [a, b]
  weights: null
two:
  # Nothing here.
  none: {}
"""


def loaded(content: str) -> dict:
    return YAML(typ="safe", pure=True).load(content)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with a committed params.yaml and two overlays."""
    (tmp_path / "presets").mkdir()
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "presets" / "big.yaml").write_text("one:\n  count: 9\n  names: [c]\n")
    (tmp_path / "presets" / "wide.yaml").write_text("two:\n  extra: {depth: 1.0e-3}\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    return tmp_path


def text(clone: Path) -> str:
    return (clone / "params.yaml").read_text()


def test_values_change_and_comments_stay(clone: Path) -> None:
    preset.apply("big", clone)
    expected = PARAMS.replace("count: 3", "count: 9").replace("[a, b]", "[c]")
    assert text(clone) == expected.replace("preset: default", "preset: big")


def test_new_keys_are_added(clone: Path) -> None:
    preset.apply("wide", clone)
    assert text(clone).rstrip().endswith("extra: {depth: 1.0e-3}")
    assert "none: {}" in text(clone)


def test_one_value_takes_the_place_of_those_of_each_budget() -> None:
    params = PARAMS.replace("count: 3", "count: {minutes: 3, hours: 30}")
    assert "count: 5\n" in preset.merged(params, "one: {count: 5}", "big")
    assert "count: {minutes: 3, hours: 60}" in preset.merged(
        params, "one: {count: {hours: 60}}", "b"
    )
    both = preset.merged(PARAMS, "one: {count: {minutes: 1, hours: 2}}", "both")
    assert "count: {minutes: 1, hours: 2}" in both


def test_a_preset_may_be_applied_again_changed_and_taken_out(clone: Path) -> None:
    preset.apply("big", clone)
    once = text(clone)
    preset.apply("big", clone)
    assert text(clone) == once
    preset.apply("wide", clone)
    assert "count: 3" in text(clone), "overlays must not pile up"
    preset.apply("default", clone)
    assert text(clone) == PARAMS


@pytest.mark.parametrize("before", ["default", "big"])
def test_uncommitted_edits_are_not_overwritten(clone: Path, before: str) -> None:
    preset.apply(before, clone)
    edited = text(clone).replace("rate: 2.0e-4", "rate: 1.0e-4")
    (clone / "params.yaml").write_text(edited)
    with pytest.raises(UserError, match=r"uncommitted edits.*commit them.*git checkout"):
        preset.apply("big", clone)
    assert text(clone) == edited


def test_an_unknown_preset_lists_what_there_is(clone: Path) -> None:
    with pytest.raises(UserError, match=r"unknown preset 'bigg'; there is default, big, wide"):
        preset.apply("bigg", clone)
    with pytest.raises(UserError, match="not allowed"):
        preset.apply("../big", clone)


def test_a_section_cannot_become_a_number(clone: Path) -> None:
    (clone / "presets" / "wide.yaml").write_text("two: 5\n")
    with pytest.raises(UserError, match=r"`two` must be a section in both"):
        preset.apply("wide", clone)
    assert text(clone) == PARAMS


def test_null_leaves_nothing_where_there_is_no_entry(clone: Path) -> None:
    """A preset that was merged and committed may be merged once more."""
    both = "two: {none: null, never: null}\none: {count: {minutes: 1, hours: 2}}\n"
    once = preset.merged(PARAMS, both, "both")
    assert loaded(once)["two"] == {}
    assert loaded(preset.merged(once, both, "both")) == loaded(once)
    assert loaded(preset.merged(once, "one: {count: null, other: null}", "x"))["one"] == {
        **loaded(once)["one"],
        "count": None,
        "other": None,
    }


def test_null_takes_an_entry_out_and_no_whole_section(clone: Path) -> None:
    wide = clone / "presets" / "wide.yaml"
    wide.write_text("base: [more]\ntwo: {none: null}\none: {weights: null, count: null}\n")
    (clone / "presets" / "more.yaml").write_text("two: {some: {a: 1}}\n")
    preset.apply("wide", clone)
    found = YAML(typ="safe").load(text(clone))
    assert found["two"] == {"some": {"a": 1}}, "an entry that is a mapping is gone"
    assert found["one"]["count"] is None and found["one"]["weights"] is None, "a value is null"
    wide.write_text("two: null\n")
    with pytest.raises(UserError, match=r"`two` must be a section in both"):
        preset.apply("wide", clone)


@pytest.fixture
def tree(clone: Path) -> Path:
    """The same without git, as from an archive."""
    shutil.rmtree(clone / ".git")
    return clone


def test_without_git_a_copy_takes_the_place_of_the_commit(tree: Path) -> None:
    preset.apply("big", tree)
    assert "count: 9" in text(tree)
    preset.apply("wide", tree)
    assert "count: 3" in text(tree) and "extra" in text(tree), "overlays must not pile up"
    preset.apply("default", tree)
    assert text(tree) == PARAMS
    edited = PARAMS.replace("rate: 2.0e-4", "rate: 1.0e-4")
    (tree / "params.yaml").write_text(edited)
    preset.apply("big", tree)
    preset.apply("default", tree)
    assert text(tree) == edited, "what was edited before a preset stays"


def test_without_git_edits_of_a_merged_preset_are_not_overwritten(tree: Path) -> None:
    preset.apply("big", tree)
    edited = text(tree).replace("rate: 2.0e-4", "rate: 1.0e-4")
    (tree / "params.yaml").write_text(edited)
    with pytest.raises(UserError, match=r"edited after a preset .*cp \.preset-base\.yaml params"):
        preset.apply("wide", tree)
    assert text(tree) == edited


def test_git_need_not_be_installed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    preset.apply("big", tree)
    assert "count: 9" in text(tree)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_clone_of_another_user_names_the_fix_of_git(clone: Path) -> None:
    for path in (clone, clone / ".git"):
        os.chown(path, 1234, 1234)
    with pytest.raises(UserError) as caught:
        preset.apply("big", clone)
    fix = f"git config --global --add safe.directory {clone}"
    assert str(caught.value).endswith(fix) and "\n" not in str(caught.value)


def test_a_corrected_overlay_is_merged_again(clone: Path) -> None:
    preset.apply("big", clone)
    (clone / "presets" / "big.yaml").write_text("one:\n  count: 7\n")
    preset.apply("big", clone)
    assert "count: 7" in text(clone) and "[a, b]" in text(clone)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (b"", r"presets/big\.yaml holds no section of params\.yaml.*may have failed"),
        (b"just words\n", r"presets/big\.yaml holds no section"),
        (b"- a\n", r"presets/big\.yaml holds no section"),
        (b"three: {}\n", r"has three, which params\.yaml has not; there is preset, one, two"),
        (b"one: [\n", r"presets/big\.yaml is not valid YAML"),
        (b"one: \xff\n", r"big\.yaml is not UTF-8 text"),
        (b"base: wide\none: {count: 1}\n", r"big\.yaml: `base` must be a list of presets"),
        (b"base: [tall]\n", r"unknown preset 'tall'; there is default, big, wide"),
        (b"base: [big]\n", r"presets build on each other: big -> big"),
    ],
)
def test_an_overlay_without_known_sections_is_refused(
    clone: Path, overlay: bytes, message: str
) -> None:
    (clone / "presets" / "big.yaml").write_bytes(overlay)
    with pytest.raises(UserError, match=message):
        preset.apply("big", clone)
    assert text(clone) == PARAMS


def test_a_preset_builds_on_others_in_order(clone: Path) -> None:
    overlays = {
        "both": "base: [big, wide]\none:\n  weights: mine\n",
        "again": "base: [both, big]\ntwo:\n  extra: {width: 2}\n",
    }
    for name, overlay in overlays.items():
        (clone / "presets" / f"{name}.yaml").write_text(overlay)
    preset.apply("both", clone)
    read = YAML(typ="safe", pure=True).load(text(clone))
    assert read["one"] == {"count": 9, "rate": 2e-4, "names": ["c"], "weights": "mine"}
    assert (read["preset"], read["two"]) == ("both", {"none": {}, "extra": {"depth": 1e-3}})
    assert "base" not in read and "# How many." in text(clone)
    preset.apply("again", clone)
    read = YAML(typ="safe", pure=True).load(text(clone))
    assert read["two"]["extra"] == {"depth": 1e-3, "width": 2}
    (clone / "presets" / "big.yaml").write_text("base: [again]\n")
    with pytest.raises(UserError, match="presets build on each other: again -> both -> big -> aga"):
        preset.apply("again", clone)


def test_what_two_presets_build_on_takes_back_nothing(clone: Path) -> None:
    overlays = {
        "left": "base: [big]\none: {count: 1}\n",
        "right": "base: [big]\ntwo:\n  extra: {width: 2}\n",
        "top": "base: [left, right]\n",
    }
    for name, overlay in overlays.items():
        (clone / "presets" / f"{name}.yaml").write_text(overlay)
    preset.apply("top", clone)
    read = YAML(typ="safe", pure=True).load(text(clone))
    assert read["one"]["count"] == 1 and read["two"]["extra"]["width"] == 2


def flat(node: Any, path: str = "") -> dict[str, Any]:
    """Return the values of a mapping by their dotted paths."""
    if not isinstance(node, dict):
        return {path: node}
    return {
        key: v for name, part in node.items() for key, v in flat(part, f"{path}.{name}").items()
    }


def test_a_preset_that_builds_on_another_says_only_what_differs(root: Path) -> None:
    yaml = YAML(typ="safe", pure=True)
    params, found = (root / "params.yaml").read_text(), 0
    for file in sorted((root / "presets").glob("*.yaml")):
        own = yaml.load(file.read_text())
        for base in own.pop("base", []):
            below = (root / "presets" / f"{base}.yaml").read_text()
            there = flat(yaml.load(preset.merged(params, below, base, root / "presets")))
            said = flat(
                yaml.load(below)
            )  # the default may change, what a base says is its business
            there = {path: value for path, value in there.items() if path in said}
            same = {path for path, value in flat(own).items() if there.get(path, ...) == value}
            assert not same, f"{file.name} repeats {sorted(same)} of {base}.yaml"
            found += 1
    assert found >= 1
