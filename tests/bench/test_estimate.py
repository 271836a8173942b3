"""The estimate counts the stages that DVC would run, and grows with what they have to do."""

import logging
import re
import shutil

import pytest
import torch
from ruamel.yaml import YAML

from bench import estimate, schedule
from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.stage.params import read
from data.tools import preset
from flows.graph import read_graph
from synth.making.parts import ProduceParams
from synth.making.sets import SetParams
from synth.training.method import generator

yaml = YAML(typ="safe", pure=True)


@pytest.fixture
def project(root, tmp_path, monkeypatch):
    """A folder with dvc.yaml and the numbers of the preset `tiny`; nothing has run."""
    text = (root / "params.yaml").read_text()
    merged = preset.merged(text, (root / "presets" / "tiny.yaml").read_text(), "tiny")
    (tmp_path / "params.yaml").write_text(merged)
    shutil.copy(root / "dvc.yaml", tmp_path)
    from dvc.repo import Repo

    Repo.init(str(tmp_path), no_scm=True).close()
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def change(path, **values):
    content = yaml.load(path.read_text())
    for dotted, value in values.items():
        *sections, key = dotted.split("__")
        node = content
        for section in sections:
            node = node[section]
        node[key] = value
    yaml.dump(content, path)


def test_it_says_how_long_all_stages_take_and_what_computes(project, caplog):
    caplog.set_level(logging.INFO)
    estimate.main(workers=2)
    said = caplog.messages[-1]
    number = len(estimate.stale_stages(project, read_graph(project)))
    assert re.match(rf"about .* for {number} stages, 2 at a time", said), said
    assert re.search(r"; cpu, (fp32|bf16), channels (first|last), 1 thread; timed in \d+ s", said)
    assert not any(line.startswith("estimate:") for line in caplog.messages)


def test_a_set_of_images_without_labels_is_told_before_anything_is_timed(project, monkeypatch):
    change(project / "params.yaml", sets__semi__painter="biggan")
    monkeypatch.setattr(estimate, "build", None)  # nothing is built, nothing is trained
    with pytest.raises(
        UserError, match=r"`sets\.semi\.painter` = 'biggan'.* no labels, so no pairs"
    ):
        estimate.main(workers=1)


def test_layouts_that_are_put_together_count(project, tmp_path, monkeypatch):
    change(
        project / "params.yaml",
        sets={"palette": {"layouts": "gpnn", "painter": "none", "num_pairs": 1000}},
    )
    pairs = PairSet(estimate.blank_pairs(tmp_path / "pairs"))
    row, size = read("sets.palette", SetParams), read("produce", ProduceParams).batch_size
    draw = estimate.fitted("gpnn", pairs)
    assert draw is not None
    drawn = draw([generator(0, item) for item in range(2)])
    assert drawn.label.shape == (2, *pairs.size)
    assert all(estimate.fitted(name, pairs) is None for name in ("real", "transplant", "sbgan"))
    seen = []
    monkeypatch.setattr(estimate, "fitted", lambda *_: lambda rngs: seen.append(len(rngs)))
    estimate.producing(row, {}, pairs)
    assert seen == [1, size]


def test_a_stage_comes_after_what_it_needs():
    graph = {"d": {"b", "c"}, "b": {"a"}, "c": {"a"}, "a": set()}
    assert list(estimate.ordered(graph)) == ["a", "b", "c", "d"]


def test_stages_wait_for_what_they_need_and_slow_each_other():
    graph = {"a": set(), "b": set(), "c": {"a"}, "d": {"b", "c"}, "done": set()}
    seconds = {"a": 10.0, "b": 4.0, "c": 2.0, "d": 1.0}
    assert schedule.makespan(graph, seconds, 1, 3.0) == 17
    # a and b beside each other, then a alone, then c, then d
    assert schedule.makespan(graph, seconds, 2, 1.0) == 10 + 2 + 1
    # while b runs, 8 s of the clock, a does 4 of its 10 s
    assert schedule.makespan(graph, seconds, 2, 2.0) == 8 + 6 + 2 + 1
    assert schedule.makespan(graph | {"a": {"done"}}, seconds, 2, 2.0) == 8 + 6 + 2 + 1


def test_more_stages_than_workers_take_turns():
    graph = {name: set() for name in "abcd"}
    assert schedule.makespan(graph, dict.fromkeys("abcd", 5.0), 2, 1.0) == 10
    assert schedule.makespan(graph, dict.fromkeys("abcd", 5.0), 3, 1.0) == 10
    assert schedule.makespan(graph, dict.fromkeys("abcd", 5.0), 4, 1.5) == 7.5


def test_contention_is_of_threads_and_leaves_their_number():
    threads = torch.get_num_threads()
    assert schedule.contention(1) == 1
    assert schedule.contention(2) >= 1
    assert torch.get_num_threads() == threads


def test_longer_trainings_take_longer(project):
    pairs = estimate.PairSet(estimate.blank_pairs(project / "pairs"))
    stages = ["painter@spade", "segment@real-0", "segment@semi-0", "produce@semi"]
    short = dict(estimate.estimates(stages, pairs))
    change(
        project / "params.yaml",
        painters__spade__num_images=160_000,
        segment__iterations=4000,
        sets__semi__num_pairs=8000,
    )
    long = dict(estimate.estimates(stages, pairs))
    for stage in stages[:3]:
        assert long[stage] > short[stage] + 20, stage
    assert long["produce@semi"] > short["produce@semi"] + 10


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "20 seconds"), (61, "1 minute"), (800, "13 minutes"), (9000, "2.5 hours")],
)
def test_times_in_words(seconds, words):
    assert estimate.minutes(seconds) == words
