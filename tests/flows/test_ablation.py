"""Changes of params.yaml are checked before any runs; reports become one table."""

from pathlib import Path

import pytest

from flows.comparison import page
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


def test_a_page_shows_what_there_is() -> None:
    splits = ("val", "test")
    several = {"miou": {"mean": 40.0, "std": 0.5, "n": 3}}
    gain = {"row": "semi", "mean": -1.25, "low": -2.0, "high": -0.5}
    over = [gain | {"split": s, "against": a} for s in splits for a in ("real", "both")]
    over[0] |= {"mean": 9.0}  # against `real`: not what is shown
    one = {"miou": {"mean": 41.0, "std": None, "n": 1}}
    alone = {"row": "semi", "split": "val", "against": "both"}
    reports = {
        "as it is": {"rows": {"semi": dict.fromkeys(splits, several)}, "verdicts": over},
        "wide": {
            "rows": {"semi": {"val": one}, "real": {"val": one}},
            "verdicts": [alone | {"mean": 1.0, "low": None, "high": None}],
        },
    }
    changes = {"as it is": [], "wide": ["a.width=16"], "tall": ["a.height=16"]}
    text = page(reports, changes, {"tall": "failed: ingest"})
    score = "40.0 ± 0.5 | -1.2 [-2.0, -0.5]"
    assert f"| as it is | `semi` | {score} | {score} |" in text
    assert "| wide | `semi` | 41.0 | +1.0 |  |  |" in text
    assert "| wide | `real` | 41.0 |  |  |  |" in text
    assert "* wide: `a.width=16`" in text
    assert "* tall failed: failed: ingest" in text
