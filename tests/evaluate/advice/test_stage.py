"""The stage on small pairs, trained for real: what it leaves, and that a broken run goes on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from evaluate.advice.images import shared
from evaluate.advice.lacking import far_looks, weak_classes
from evaluate.advice.trials import read_trial
from evaluate.metrics.features import Eyes
from evaluate.stages.advise import main
from tests.evaluate.advice.conftest import SEGMENT
from tests.segment.conftest import write_set

SMALL = {
    "candidates": {"semi": {"with": ["semi"]}, "until": {"with": ["semi"], "until": 0.8}},
    "augment": ["photometric"],
    "rungs": [0.5, 1.0],
    "seeds": {"search": [3], "confirm": [0, 1, 2]},
}
SECTIONS = {
    "segment": SEGMENT | {"iterations": 4, "per_batch": {"real": 2, "synthetic": 2}},
    "rows": {"real": {}},
    "adapt": {"advent": {"weight": 0.01, "width": 4, "lr": 1e-3}},
    "augment": {
        "scale": [0.4, 1.2],
        "cutmix": {"probability": 0.5, "area": [0.1, 0.5]},
        "classmix": {"probability": 0.5, "below": 0.5},
    },
    "compute": {"precision": "fp32", "channels_last": True, "threads": 1},
    "report": {
        "rows": ["real"],
        "once": [],
        "seeds": [0],
        "num_scored": 4,
        "batch_size": 4,
        "pretrained": None,
        "sheet_rows": 2,
        "palette_classes": 2,
        "rare_percent": 1.0,
    },
}


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    root = tmp_path / "artifacts"
    write_set(root / "real/train", "real", range(12))
    write_set(root / "real/val", "real", range(200, 206))
    write_set(root / "pairs/semi", "semi", range(100, 112))
    write_set(root / "pairs/moved", "moved", range(120, 132))
    return root


@pytest.mark.slow
def test_a_broken_run_goes_on_and_ends_alike(artifacts: Path, write_params: Callable) -> None:
    root = write_params(SECTIONS, **SMALL)
    out = root / "advice"
    main(artifacts=artifacts, out=out)
    whole = (out / "advice.json").read_bytes()
    said = json.loads(whole)
    text = (out / "advice.md").read_text()
    assert text.startswith("# Advice\n\n**Train ") and "```yaml\n" in text
    assert said["chosen_on"] == {"what": "half of the images of val", "images": 3, "groups": 3}
    assert said["confirmed_on"]["images"] == 3
    assert {trial["confirms"] for trial in said["trials"]} == {False, True}

    trials = sorted((out / "trials").iterdir())
    assert len(trials) == len(said["trials"])
    first = out / "trials" / "real-2-3"  # says how fast the machine is, which the plan follows
    kept = [path for path in trials if path.name.startswith("semi")] + [first]
    times = {path: (path / "trial.json").stat().st_mtime_ns for path in kept}
    for path in {*trials} - {*kept}:
        shutil.rmtree(path)
    (out / "advice.json").unlink()
    main(artifacts=artifacts, out=out)
    assert (out / "advice.json").read_bytes() == whole
    assert times == {path: (path / "trial.json").stat().st_mtime_ns for path in kept}

    # other pairs: what was trained on them is trained again, real pairs alone are not
    shutil.rmtree(artifacts / "pairs/semi")
    write_set(artifacts / "pairs/semi", "semi", range(300, 312))
    main(artifacts=artifacts, out=out)
    assert first.joinpath("trial.json").stat().st_mtime_ns == times[first]
    changed = [path for path in kept if path != first]
    assert all((path / "trial.json").stat().st_mtime_ns != times[path] for path in changed)
    trial = read_trial(first)
    assert trial is not None and trial.sums.shape == (3, 4, 3)


def test_a_val_without_test_is_halved_and_one_with_test_is_not(artifacts: Path) -> None:
    halves = shared(artifacts / "real", seed=0)
    assert not {*halves.choose.ids} & {*halves.confirm.ids}
    assert {*halves.choose.ids, *halves.confirm.ids} == {*PairSet(artifacts / "real/val").ids()}
    write_set(artifacts / "real/test", "real", range(300, 304))
    apart = shared(artifacts / "real", seed=0)
    assert (apart.choose.words, apart.confirm.words) == ("val", "test")
    assert (len(apart.choose.ids), len(apart.confirm.ids)) == (6, 4)


def test_named_groups_stay_whole_and_one_pair_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "val", "real", range(9), group=lambda number: f"video {number // 3}")
    halves = shared(tmp_path, seed=0)
    columns = PairSet(tmp_path / "val").column("group")
    first, second = (
        {columns[row] for row in half.part.rows} for half in (halves.choose, halves.confirm)
    )
    assert first and second and not first & second
    assert halves.choose.words == "half of the groups of val"
    assert set(halves.confirm.split.groups) == second
    write_set(tmp_path / "other/val", "real", [1])
    with pytest.raises(UserError, match="has one pair"):
        shared(tmp_path / "other", seed=0)


def test_weak_classes_are_those_below_the_mean(artifacts: Path) -> None:
    train = PairSet(artifacts / "real/train")
    found = weak_classes(train, np.array([90.0, 40.0, 10.0]))  # the last is void
    assert [(it.name, it.iou, it.pairs) for it in found] == [("road", 40.0, 12)]
    assert weak_classes(train, np.array([np.nan, np.nan, 1.0])) == []


def test_images_that_no_training_image_resembles_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(images: np.ndarray) -> list[torch.Tensor]:
        return [torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))]

    train = write_set(tmp_path / "train", "real", range(12))
    val = write_set(tmp_path / "val", "real", range(20, 24))
    Image.fromarray(np.full((64, 96, 3), 250, np.uint8)).save(tmp_path / "white.png")
    Image.fromarray(train.images([3])[0]).save(tmp_path / "known.png")
    eyes = Eyes(look, "colours")
    monkeypatch.chdir(tmp_path)
    found, looked = far_looks(train, val, eyes, "*.png")
    assert looked == 6
    assert found[0].name == "white.png" and found[0].times > 3 and not found[0].labelled
    assert "known.png" not in [look.name for look in found]
