"""The graph of stages as DVC resolves it, and the names that never reach a shell."""

import re
from pathlib import Path

import pytest

from flows.graph import needed_by, read_command, read_graph, ready

CELLS = """
stages:
  make:
    foreach: ${sets}
    do:
      cmd: python make.py --layouts ${item.layouts} --out ${key}
      outs: ['${key}']
  judge:
    matrix: {row: '${names}', seed: [0, 1]}
    cmd: python judge.py ${item.row}
    deps: ['${item.row}']
    outs: ['${item.row}-${item.seed}.json']
"""


@pytest.fixture
def cells(toy: Path) -> Path:
    (toy / "dvc.yaml").write_text(CELLS)
    (toy / "params.yaml").write_text("sets: {semi: {layouts: real}}\nnames: [semi]\n")
    return toy


def test_graph_of_stages(toy: Path) -> None:
    assert read_graph(toy) == {"a": set(), "b": {"a"}, "c": {"a"}, "report": {"b", "c"}}


def test_graph_of_cells(cells: Path) -> None:
    assert read_graph(cells) == {
        "make@semi": set(),
        "judge@semi-0": {"make@semi"},
        "judge@semi-1": {"make@semi"},
    }
    assert read_command(cells, "make@semi") == "python make.py --layouts real --out semi"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            "sets: {semi: {layouts: real}}\nnames: ['x;touch pwned']\n",
            "stage names judge@x;touch",
        ),
        ("sets: {semi: {layouts: 'x;touch pwned'}}\nnames: [semi]\n", "would hold ;, which"),
        (
            "sets: {semi: {layouts: '$(touch pwned)'}}\nnames: [semi]\n",
            "would hold $ ( ),",
        ),
        ("sets: {semi: {layouts: real}}\nnames: ['x\\ntouch pwned']\n", "stage names judge@x"),
    ],
)
def test_a_name_that_a_shell_would_read_is_refused_before_anything_runs(
    cells: Path, params: str, words: str
) -> None:
    (cells / "params.yaml").write_text(params)
    with pytest.raises(ValueError, match=re.escape(words)):
        read_graph(cells)
    assert not (cells / "pwned").exists()


def test_a_broken_pipeline_says_what_dvc_says(cells: Path) -> None:
    (cells / "dvc.yaml").write_text("stages:\n  a:\n    cmd: echo ${nowhere}\n")
    with pytest.raises(ValueError, match="nowhere") as caught:
        read_graph(cells)
    assert len(str(caught.value).splitlines()) == 1


def test_ready_stages_keep_the_order_of_the_graph() -> None:
    graph = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    assert ready(graph, done=set(), started=set()) == ["a"]
    assert ready(graph, done={"a"}, started={"a"}) == ["b", "c"]
    assert ready(graph, done={"a", "b"}, started={"a", "b", "c"}) == []


def test_what_a_stage_needs() -> None:
    graph = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b"}}
    assert needed_by(graph, ["d"]) == {"a": set(), "b": {"a"}, "d": {"b"}}
    with pytest.raises(ValueError, match="unknown stages x; there is a, b, c, d"):
        needed_by(graph, ["b", "x"])
