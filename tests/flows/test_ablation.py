"""Changes of params.yaml are checked before any runs; metrics stand beside each other."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.ablation import AS_IT_IS, page
from flows.overrides import changed, name_of

PARAMS = """\
# kept
train: {layouts: [real]}
painter:
  # per step
  lr: 0.001
  width: 8
  flip: true
"""
PIPELINE = """
stages:
  layout:
    matrix: {method: '${train.layouts}'}
    cmd: python train.py --method ${item.method}
    outs: ['${item.method}']
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    return tmp_path


def test_changes_keep_comments_and_leave_the_file_alone(project: Path) -> None:
    text = changed(project, ["painter.lr=2e-4", "painter.width=16"])
    assert "lr: 0.0002" in text
    assert "width: 16" in text
    assert "# kept" in text and "# per step" in text
    assert (project / "params.yaml").read_text() == PARAMS


def test_one_value_may_stand_for_those_of_each_budget(project: Path) -> None:
    params = project / "params.yaml"
    text = PARAMS.replace("width: 8", "width: {minutes: 8, hours: 16}")
    params.write_text(f"budget: minutes\n{text}")
    assert "width: 32\n" in changed(project, ["painter.width=32"])
    assert "hours: 32" in changed(project, ["painter.width.hours=32", "budget=hours"])
    with pytest.raises(ValueError, match=r"`painter\.width` is a number; 'wide' is a text"):
        changed(project, ["painter.width=wide"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("painter.lrr=1", "painter.lrr=1: "),
        ("painter.lr=high", "`painter.lr` is a number; 'high' is a text"),
        ("painter.flip=1", "`painter.flip` is a switch; 1 is a number"),
        ("train.layouts=real", "`train.layouts` is a list; 'real' is a text"),
        ("train=1", "`train` is a section; 1 is a number"),
        ("train.layouts=[Real]", "stage names layout@Real are not allowed"),
    ],
)
def test_a_change_that_cannot_run_is_refused(project: Path, change: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        changed(project, [change])
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_names_of_experiments() -> None:
    assert (
        name_of(["painters.spade.generator_lr=2e-4"]) == "ablation-painters-spade-generator-lr-2e-4"
    )
    assert name_of(["a.b=[0,1]", "c=x"]) == "ablation-a-b-0-1-c-x"


def test_a_page_has_the_metrics_of_each_experiment_beside_those_as_it_is(
    tmp_path: Path, dvc: Callable[..., str]
) -> None:
    (tmp_path / "dvc.yaml").write_text("metrics: [metrics.json]\n")
    for words in (("init", "--quiet"), ("config", "user.name", "a"), ("config", "user.email", "a")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    dvc(tmp_path, "init", "--quiet")
    for number, name in enumerate((AS_IT_IS, "wide")):
        (tmp_path / "metrics.json").write_text(json.dumps({"semi": {"val_miou": 40 + number}}))
        subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
        subprocess.run(["git", "commit", "--quiet", "--message", name], cwd=tmp_path, check=True)
        dvc(tmp_path, "exp", "save", "--name", name)
    changes = {"wide": ["a.width=16"], "tall": ["a.height=16"]}
    text = page(tmp_path, changes, {"tall": "failed: ingest"})
    assert "## wide\n\n`a.width=16`\n\n|" in text
    line = next(line for line in text.splitlines() if "val_miou" in line)
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["semi.val_miou", "40", "41", "1"]
    assert "tall failed: failed: ingest" in text and "## tall" not in text
