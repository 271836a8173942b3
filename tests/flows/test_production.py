"""Pairs of one set in a folder of their own: its params.yaml, its command, what it refuses."""

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows import production

load = YAML(typ="safe", pure=True).load


def test_the_command_of_the_stage_writes_elsewhere(tmp_path: Path) -> None:
    words = "--set semi --train a/real --out a/semi --repainted a/re"
    command = f"sh flows/stage.sh synth.stages.produce {words}"
    assert production.command_for(command, Path("/clone"), tmp_path) == [
        *(sys.executable, "-m", "synth.stages.produce"),
        *("--set", "semi", "--train", "/clone/a/real"),
        *("--out", str(tmp_path / "pairs"), "--repainted", str(tmp_path / "repainted")),
    ]


def test_numbers_of_the_run_stand_in_its_own_params(root: Path) -> None:
    before = (root / "params.yaml").read_text()
    changes = {"sets.semi": {"num_pairs": 7}, "produce": {"engine": None, "workers": 3}}
    text = production.params_with(root, changes)
    expected = load(before)
    expected["sets"]["semi"]["num_pairs"] = 7
    expected["produce"]["workers"] = 3
    assert load(text) == expected
    assert "  # Real layouts, each painted in the look of another real image.\n  semi: " in text, (
        "comments stay"
    )
    assert (root / "params.yaml").read_text() == before


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    production.check_folder(tmp_path / "new")
    for ours in ("pairs", "repainted", "artifacts"):
        (tmp_path / ours).mkdir()
    (tmp_path / "params.yaml").touch()
    production.check_folder(tmp_path)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(
        ValueError, match=r"holds 'thesis\.tex'; name a folder that is empty or new"
    ):
        production.check_folder(tmp_path)
    with pytest.raises(ValueError, match="is a file; name a folder"):
        production.check_folder(tmp_path / "thesis.tex")
