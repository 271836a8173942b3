"""The flow: order, failure, retry, devices, artifacts."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows import pipeline
from flows.pipeline import ExperimentFailed, experiment, ready

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


def test_ready_stages_keep_the_order_of_the_graph() -> None:
    graph = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    assert ready(graph, done=set(), started=set()) == ["a"]
    assert ready(graph, done={"a"}, started={"a"}) == ["b", "c"]
    assert ready(graph, done={"a", "b"}, started={"a", "b", "c"}) == []


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
@pytest.mark.parametrize("wrong", [{"workers": 0}, {"gpus": [1, 1]}])
def test_wrong_places_are_refused_before_anything_runs(toy: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"use 1 to|each device once"):
        pipeline.experiment(root=str(toy), **wrong)
    assert not (toy / "a.txt").exists()
