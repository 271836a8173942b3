"""Pairs of one recipe in a folder of their own: its params.yaml, its command, what it refuses."""

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows import production

load = YAML(typ="safe", pure=True).load


def test_the_command_of_the_stage_writes_elsewhere(tmp_path: Path) -> None:
    words = "--recipe semi --train a/real --out a/semi --repainted a/re"
    command = f"sh flows/stage.sh synth.stages.produce {words}"
    assert production.command_for(command, Path("/clone"), tmp_path) == [
        *(sys.executable, "-m", "synth.stages.produce"),
        *("--recipe", "semi", "--train", "/clone/a/real"),
        *("--out", str(tmp_path / "pairs"), "--repainted", str(tmp_path / "repainted")),
    ]


def test_numbers_of_the_run_stand_in_its_own_params(root: Path) -> None:
    before = (root / "params.yaml").read_text()
    text = production.params_with(root, {"num_pairs": 7})
    expected = load(before)
    expected["produce"]["num_pairs"] = 7
    assert load(text) == expected
    assert "  # Synthetic pairs of a set.\n  num_pairs: 7\n" in text
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
