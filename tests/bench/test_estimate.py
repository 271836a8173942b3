"""The estimate counts the stages that DVC would run, and grows with what they have to do."""

import logging
import re
import shutil

import pytest
import torch
from ruamel.yaml import YAML

from bench import estimate
from data.tools import preset

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
    number = len(estimate.stale_stages(project))
    assert re.match(rf"about .* for {number} stages, 2 at a time", said), said
    assert re.search(r"; cpu, (fp32|bf16), channels (first|last), 1 thread; timed in \d+ s", said)
    assert not any(line.startswith("estimate:") for line in caplog.messages)


def test_a_stage_comes_after_what_it_needs():
    graph = {"d": {"b", "c"}, "b": {"a"}, "c": {"a"}, "a": set()}
    assert list(estimate.ordered(graph)) == ["a", "b", "c", "d"]


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
