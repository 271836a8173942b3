"""A task is one stage: its graph, its log, its errors."""

import logging
from pathlib import Path

import pytest

from flows import stages
from flows.stages import StageFailed


class Lines(list):
    """A log that keeps its lines."""

    def info(self, line: str) -> None:
        self.append(line)


def test_graph_of_a_real_pipeline(toy: Path) -> None:
    assert stages.read_graph(toy) == {
        "a": set(),
        "b": {"a"},
        "c": {"a"},
        "report": {"b", "c"},
    }


def test_parse_graph_of_cells() -> None:
    dot = 'strict digraph {\n"produce@semi";\n"produce@semi" -> "segment@semi-0";\n}\n'
    assert stages.parse_graph(dot) == {"produce@semi": set(), "segment@semi-0": {"produce@semi"}}


def test_a_name_that_a_shell_would_read_is_refused_before_anything_runs(
    tmp_path: Path, dvc
) -> None:
    (tmp_path / "params.yaml").write_text("names: ['x;touch pwned']\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  a:\n    matrix: {name: '${names}'}\n    cmd: echo ${item.name}\n"
    )
    dvc(tmp_path, "init", "--quiet", "--no-scm")
    with pytest.raises(ValueError, match=r"not allowed; names in params\.yaml use lower-case"):
        stages.read_graph(tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_a_broken_pipeline_says_what_dvc_says(tmp_path: Path, dvc) -> None:
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: echo ${nowhere}\n")
    dvc(tmp_path, "init", "--quiet", "--no-scm")
    with pytest.raises(ValueError, match="nowhere"):
        stages.read_graph(tmp_path)


def test_run_streams_the_log_and_leaves_advice_out(toy: Path) -> None:
    (toy / "b.py").write_text("print('step 1')\nopen('b.txt', 'w').write('b')\nprint('step 2')\n")
    log = Lines()
    stages.run("a", toy, log, {})
    stages.run("b", toy, log, {})
    assert (toy / "b.txt").read_text() == "b"
    assert log.index("step 1") < log.index("step 2")
    assert not [line for line in log if "git add" in line or "dvc push" in line or not line.strip()]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    ("ending", "status", "killed"),
    [
        ("raise SystemExit(2)", 2, False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, True),
    ],
)
def test_only_a_killed_child_is_worth_a_retry(
    toy: Path, ending: str, status: int, killed: bool, shell: str
) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text(f"print('last words', flush=True)\n{ending}\n")
    with pytest.raises(StageFailed) as caught:
        stages.run("b", toy, logging.getLogger("test"), {"SHELL": shell})
    assert (caught.value.stage, caught.value.status, caught.value.killed) == (
        "b",
        status,
        killed,
    )
    assert "stage b failed" in str(caught.value)
    assert "last words" in str(caught.value)


def test_only_the_last_lines_of_a_long_log_are_in_the_error(toy: Path) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text("print(*(f'line-{i}' for i in range(500)), sep='\\n')\nexit(1)\n")
    with pytest.raises(StageFailed) as caught:
        stages.run("b", toy, Lines(), {})
    assert len(caught.value.lines) == stages.NUM_LAST_LINES
    assert "line-499" in str(caught.value)
    assert "line-0" not in caught.value.lines


def test_a_stage_gets_its_environment(toy: Path) -> None:
    stages.run("a", toy, Lines(), {})
    (toy / "b.py").write_text(
        "import os\nopen('b.txt', 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])\n"
    )
    stages.run("b", toy, Lines(), {"CUDA_VISIBLE_DEVICES": "3"})
    assert (toy / "b.txt").read_text() == "3"
