"""The flow: order, failure, retry, devices, artifacts."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows import pipeline
from flows.clone import workspace
from flows.pipeline import experiment
from flows.schedule import ExperimentFailed

# A cell ends only after the other one of its pair has started, so two are always at work at once.
CELL = """
import glob, json, os, sys, time
start = time.monotonic()
open(sys.argv[1] + ".started", "w").close()
wanted = 2 if len(glob.glob("*.started")) <= 2 else 4
while len(glob.glob("*.started")) < wanted and time.monotonic() < start + 60:
    time.sleep(0.01)
time.sleep(0.2)
span = {"gpu": os.environ["CUDA_VISIBLE_DEVICES"], "start": start, "end": time.monotonic()}
open(sys.argv[1], "w").write(json.dumps(span))
"""


def artifacts(key: str) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        found = client.read_artifacts(artifact_filter=wanted)
    return sorted(found, key=lambda artifact: artifact.created, reverse=True)


@pytest.mark.usefixtures("server")
def test_the_report_becomes_an_artifact_and_progress_reaches_100(toy: Path) -> None:
    experiment(root=str(toy), workers=2)
    report = (toy / "evaluate" / "report.md").read_text()
    assert report == "# b\n# c\n"
    assert artifacts("report")[0].data == report
    assert artifacts("stages")[0].data == 100.0


@pytest.mark.usefixtures("server")
def test_a_failure_stops_only_what_needs_it(toy: Path) -> None:
    (toy / "b.py").write_text(
        "open('tries', 'a').write('x')\nraise SystemExit('layouts.x is not a known key')\n"
    )
    state = experiment(root=str(toy), return_state=True)
    assert state.is_failed()
    with pytest.raises(ExperimentFailed, match="failed: b") as caught:
        state.result()
    assert "layouts.x is not a known key" in str(caught.value)
    assert "not run, because they need a failed stage: report" in str(caught.value)
    assert (toy / "tries").read_text() == "x", "an error is not worth a second try"
    assert (toy / "c.txt").exists()
    assert not (toy / "evaluate" / "report.md").exists()
    assert artifacts("stages")[0].data == 50.0


@pytest.mark.usefixtures("server", "no_delays")
def test_a_killed_stage_runs_again(toy: Path) -> None:
    (toy / "b.py").write_text(
        "import os, pathlib, signal\n"
        "seen = pathlib.Path('seen')\n"
        "if not seen.exists():\n"
        "    seen.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path('b.txt').write_text('second try\\n')\n"
    )
    experiment(root=str(toy))
    assert (toy / "evaluate" / "report.md").read_text() == "second try\n# c\n"


@pytest.mark.usefixtures("server")
def test_never_two_stages_on_one_device(toy: Path) -> None:
    (toy / "cell.py").write_text(CELL)
    (toy / "params.yaml").write_text("seeds: [0, 1, 2, 3]\n")
    (toy / "dvc.yaml").write_text(
        "stages:\n"
        "  cell:\n"
        "    matrix: {seed: '${seeds}'}\n"
        "    cmd: python cell.py ${item.seed}.json\n"
        "    outs: ['${item.seed}.json']\n"
    )
    (toy / "evaluate" / "report.md").write_text("-")
    experiment(root=str(toy), gpus=[0, 5])
    cells = [json.loads((toy / f"{seed}.json").read_text()) for seed in range(4)]
    assert {cell["gpu"] for cell in cells} == {"0", "5"}
    for one in cells:
        for other in cells:
            if one is not other and one["gpu"] == other["gpu"]:
                assert one["end"] <= other["start"] or other["end"] <= one["start"]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers: Input should be greater than or equal to 1"),
        ({"gpus": []}, "gpus: List should have at least 1 item"),
        ({"gpus": [1, 1]}, "names a device twice"),
        ({"stages": ["a;touch pwned"]}, "stages.0: String should match pattern"),
        ({"stages": ["d"]}, "unknown stages d; there is a, b, c, report"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(
    toy: Path, wrong: dict[str, Any], words: str
) -> None:
    state = experiment(root=str(toy), **wrong, return_state=True)
    assert state.is_failed()
    assert words in str(state.result(raise_on_failure=False))
    assert not (toy / "a.txt").exists()


@pytest.mark.usefixtures("server")
def test_asked_for_stages_run_with_what_they_need(toy: Path) -> None:
    experiment(root=str(toy), stages=["b"])
    assert (toy / "b.txt").exists()
    assert not (toy / "c.txt").exists()


@pytest.mark.usefixtures("server")
def test_a_second_run_in_a_clone_is_refused_in_words(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.occupied, "__defaults__", (0.5,))
    with workspace.occupied(toy, logging.getLogger("test")):
        state = experiment(root=str(toy), return_state=True)
    with pytest.raises(workspace.WorkspaceBusy, match="is in use by another run"):
        state.result()
    assert not (toy / "a.txt").exists()


def test_a_stage_that_is_not_there_is_one_line_and_starts_nothing(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "ROOT", toy)
    monkeypatch.setattr(sys, "argv", ["flows.pipeline", "--stages", "b", "d"])
    with pytest.raises(SystemExit, match="2"):
        pipeline.main()
    assert "unknown stages d; there is a, b, c" in capsys.readouterr().err
    assert not (toy / "a.txt").exists()


# As from the command line, but in the toy, and with a server of its own, which Prefect starts.
ALONE = """
import sys
from functools import partial
from flows import pipeline
pipeline.experiment = partial(pipeline.experiment, root=sys.argv.pop())
pipeline.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_flow_that_is_ended(toy: Path, tmp_path: Path, sign: int) -> None:
    (toy / "b.py").write_text("import time\nopen('b.started', 'w').close()\ntime.sleep(600)\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_API")}
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE, str(toy)],
        env=env | {"PREFECT_HOME": str(tmp_path / "prefect")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    end = time.monotonic() + 120
    while not (toy / "b.started").exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(sign)
    process.wait(timeout=60)
    assert len(started) > 2, "a server, DVC and the command of a stage"
    _, alive = psutil.wait_procs(started, timeout=10)
    assert [it.cmdline() for it in alive if it.status() != psutil.STATUS_ZOMBIE] == []
