"""The benchmark of layouts: a table of scores, and cells that are not trained twice."""

import numpy as np
import pytest
import torch

from bench import layout_scores, layouts
from bench.layout_scores import copied, differing, excluded, like_real, surviving, yardsticks
from bench.record import streets_set
from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.stage.outputs import read_json
from synth.training.method import Given
from tests.synth import small
from tests.synth.scenes import law_of

LEVELS = [[0, 8, 4], [4, 4, 4]]
NONE = {"presence": 0.0, "presence_kl": 0.0}
EDITOR = {"levels": LEVELS, "masks": {"band": 1.0}}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    for module in (layouts, layout_scores):
        monkeypatch.setattr(module, "NUM_DRAWN", 6)
        monkeypatch.setattr(module, "NUM_COUNTED", 9)
    small.write_params(
        tmp_path,
        train={
            "layouts": [
                "real",
                "semantic_palette",
                "partial_palette",
                "sbgan",
                "gpnn",
                "transplant",
            ]
        },
        layouts={
            "semantic_palette": small.numbers("semantic_palette", levels=LEVELS),
            "partial_palette": small.numbers("partial_palette", **EDITOR),
            "sbgan": small.numbers("sbgan", levels=LEVELS),
            "gpnn": small.numbers("gpnn"),
        },
    )
    real = streets_set(tmp_path / "train", (16, 32), 8, lambda: None)
    law_of(real.column("palette")).save(tmp_path / "palette", {})
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def run(project, **flags):
    paths = {"train": project / "train", "palette": project / "palette"}
    layouts.main(**paths, minutes="0.001", out=project / "page.md", **flags)


def test_every_method_has_a_row_and_is_trained_once(project, monkeypatch):
    run(project)
    page = (project / "page.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        *("| `semantic_palette`", "| `partial_palette`", "| `sbgan`", "| `gpnn`"),
        *("| real, of other groups", "| their bands"),
    ]
    assert len({line.count("|") for line in lines}) == 1
    (folder,) = (project / "scratch" / "bench-layouts").glob("partial_palette-*")
    numbers = read_json(folder / "numbers.json")
    assert numbers["excluded"] == 0 and 0 <= numbers["noises"] <= 100
    assert (folder / "sheet.png").is_file() and (folder / "nets.safetensors").is_file()

    (folder,) = (project / "scratch" / "bench-layouts").glob("gpnn-*")
    numbers = read_json(folder / "numbers.json")
    assert numbers["kl"] >= 0 and "survives" not in numbers and "kl_argmax" not in numbers

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(layouts, "_make", refuse)
    monkeypatch.setattr(layouts, "_fit", refuse)
    run(project, methods="partial_palette,sbgan,gpnn")
    page = (project / "page.md").read_text()
    assert "semantic_palette" not in page
    assert (
        "    python -m bench.layouts --minutes 0.001 --methods partial_palette,sbgan,gpnn\n" in page
    )


def test_palettes_are_counted_of_more_layouts_than_are_looked_at(project, monkeypatch):
    seen = []
    monkeypatch.setattr(layout_scores, "present", lambda ours, _: seen.append(len(ours)) or NONE)
    run(project, methods="semantic_palette")
    assert seen[:3] == [6, 9, 9]  # those looked at, all made, all asked for


def test_methods_that_are_not_trained_are_refused(project):
    with pytest.raises(UserError, match=r"real, cgan: not among|cgan, real: not among"):
        run(project, methods="real,cgan")


def test_real_layouts_are_like_themselves(project):
    real = PairSet(project / "train")
    labels = real.labels(range(8))
    found = like_real(labels, labels, real.classes)
    assert found == {"presence": 0, "presence_kl": 0, "sizes": 0, "edges": 0}
    whole, bands = yardsticks(real)
    assert whole["sizes"] > 0 and whole["draws"] > 0 and bands["noises"] > 0


def test_thin_classes_survive_at_full_size_and_not_at_half(project):
    real = PairSet(project / "train")
    given = Given(real.classes.num_classes, real.size, law_of(real.column("palette")))
    label = np.zeros((2, 16, 32), np.uint8)
    label[:, 8:] = 1
    label[:, 3:14, 5] = label[:, 3:14, 18] = 2  # poles, a pixel wide, in odd and even columns
    half, full = (
        surviving(small.build("semantic_palette", given, enlarge=factor, levels=LEVELS), label)
        for factor in (2, 1)
    )
    assert len(half) == 3 and half[2] < 0.6 and half[1] > 0.8
    assert (full > 0.95).all()


def test_scores_by_hand():
    was = torch.zeros(2, 10, 10, dtype=torch.int64)
    hole = torch.zeros_like(was, dtype=torch.bool)
    hole[:, :, :5] = True
    made = was.clone()
    made[0, :5, 4] = 1  # a tenth of one hole, and a class that was not there
    made[1, :, 9] = 1  # outside
    assert differing(made, was, hole) == pytest.approx(0.05)
    assert excluded(made, was, hole, 3) == pytest.approx(0.05)
    real = np.stack([np.full((4, 4), value, np.uint8) for value in (0, 0, 1, 2)])
    assert copied(real[:2], real, ["a", "a", "b", "b"]) == 100
    assert copied(np.full((1, 4, 4), 9, np.uint8), real, ["a", "a", "b", "b"]) == 0
    assert copied(real, real, [None] * 4) is None
