"""The stage: what a cell holds, that it learns, that equal seeds give equal bytes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from data.pairs.confusion import confusion, scores
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from segment import predict
from segment.stages.train import main

ROOT = Path(__file__).resolve().parents[2]

Workspace = Train = Callable[..., Path]


def test_a_cell_holds_what_scores_are_made_of(
    artifacts: Path, workspace: Workspace, train: Train
) -> None:
    out = train(workspace() / "cell")
    assert {path.name for path in out.iterdir()} == {
        "model.safetensors",
        "cell.json",
        "confusion.npz",
    }
    cell = json.loads((out / "cell.json").read_text())
    assert (cell["row"], cell["seed"], cell["sets"]) == ("semi", 0, ["semi"])
    assert cell["splits"] == {"val": 6, "test": 4}
    assert (cell["real"], cell["synthetic"], cell["real_ratio"]) == (2, 2, 0.5)
    assert cell["repeats"] == round(8 * 2 / 3, 4), "8 batches of 2, out of a slice of 3 pairs"
    assert [point[0] for point in cell["val_curve"]] == [3, 6, 8]
    with safe_open(out / "model.safetensors", "pt") as weights:
        about = json.loads(weights.metadata()["scene_palette"])
    assert about["fingerprint"] == cell["fingerprint"]

    counts = np.load(out / "confusion.npz")
    assert counts["test_ids"].tolist() == PairSet(artifacts / "real/test").ids()
    classes = PairSet(artifacts / "real/val").classes
    result = scores(counts["val"].sum(axis=0, dtype=np.int64), classes.eval_ids)
    assert cell["val_curve"][-1][1:] == pytest.approx([result.miou, result.miou_star], abs=1e-3)

    # the weights on disk are those that were scored
    label_images = predict.load(out)
    test = list(PairSet(artifacts / "real/test").pairs())
    predicted = label_images(np.stack([pair.image for pair in test]))
    for pair, label, matrix in zip(test, predicted, counts["test"], strict=True):
        assert np.array_equal(confusion(pair.label, label, 3), matrix)


def test_equal_seeds_give_equal_bytes(workspace: Workspace, train: Train) -> None:
    root = workspace()
    one, two = train(root / "one"), train(root / "two")
    other = train(root / "other", seed=1)
    for name in ("model.safetensors", "cell.json", "confusion.npz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()


def test_workers_change_nothing(artifacts: Path, workspace: Workspace, train: Train) -> None:
    keys = {"with": ["semi", "more"], "augment": ["photometric", "cutmix"], "until": 0.5}
    alone = train(workspace({"both": keys}, seam=2) / "alone", "both")
    workers = train(workspace({"both": keys}, seam=2, num_workers=2) / "workers", "both")
    assert np.array_equal(described(alone), described(workers))


def changed(artifacts: Path, root: Path, name: str, change: Callable[[Pair], Pair]) -> Path:
    """Copy all sets, with the pairs of one changed."""
    shutil.copytree(artifacts, root)
    shutil.rmtree(root / name)
    original = PairSet(artifacts / name)
    about = {"classes": original.classes, "size": original.size, "fingerprint": "f"}
    with ShardWriter(root / name, **about) as writer:
        for pair in original.pairs():
            writer.write(change(pair))
    return root


def described(cell: Path) -> np.ndarray:
    """All weights of a cell: they tell any two trainings apart."""
    tensors = load_file(cell / predict.WEIGHTS)
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


def test_each_row_sees_the_pairs_that_it_names_and_no_others(
    artifacts: Path, workspace: Workspace, train: Train
) -> None:
    root = workspace(num_slices=1)

    def negative(pair: Pair) -> Pair:
        return replace(pair, image=255 - pair.image)

    names = ("real/train", "pairs/semi", "pairs/more")
    copies = {name: changed(artifacts, root / Path(name).name, name, negative) for name in names}
    uses = {
        "real": {"real/train"},
        "semi": {"real/train", "pairs/semi"},
        "both": set(names),
        "alone": {"pairs/semi"},
    }
    for row, used in uses.items():
        before = described(train(root / "cells" / row, row))
        for name, copy in copies.items():
            after = described(train(root / "cells" / f"{row} {Path(name).name}", row, root=copy))
            assert np.array_equal(before, after) == (name not in used), (row, name)


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ({"sampling": "rare_looks"}, {}),
        ({"augment": "photometric"}, {}),
        ({"augment": "scale"}, {}),
        ({"augment": ["cutmix"]}, {}),
        ({"augment": ["classmix"]}, {}),
        ({"mix": "separate"}, {}),
        ({"control": "shuffled_labels"}, {}),
        ({"until": 0.5}, {}),
        ({"real": 3}, {}),
        ({"synthetic": 3}, {}),
        ({}, {"seam": 3}),
    ],
)
def test_what_a_row_says_has_an_effect(
    workspace: Workspace, train: Train, keys: dict, numbers: dict
) -> None:
    row = {"with": ["more"]}
    before = train(workspace({"row": row}) / "before", "row")
    root = workspace({"row": row | keys}, **numbers)
    assert not np.array_equal(described(before), described(train(root / "after", "row")))


@pytest.mark.parametrize(("precision", "supervise"), [("fp32", "all"), ("bf16", "eval")])
def test_it_learns(workspace: Workspace, train: Train, precision: str, supervise: str) -> None:
    root = workspace(
        {"real": {"real": 4}},
        iterations=60,
        val_every=60,
        precision=precision,
        supervise=supervise,
    )
    cell = json.loads((train(root / "cell", "real") / "cell.json").read_text())
    assert cell["val_curve"][-1][1] > 60
    assert (cell["real_ratio"], cell["repeats"]) == (1.0, 0)


def test_nothing_is_left_of_a_failed_training(workspace: Workspace, train: Train) -> None:
    root = workspace(lr=1e30)
    with pytest.raises(UserError, match=r"lower segment\.lr"):
        train(root / "cells/cell")
    assert [path.name for path in (root / "cells").iterdir()] == ["rows"]


def test_mistakes_are_named_before_work_starts(workspace: Workspace, train: Train) -> None:
    root = workspace(num_slices=20)
    with pytest.raises(UserError, match=r"9 pairs, fewer than segment\.num_slices = 20"):
        train(root / "cell")
    workspace(arch="resnet18_mpl")
    with pytest.raises(UserError, match="unknown arch"):
        train(root / "cell")
    workspace(crop=[1.0, 0.5])
    with pytest.raises(UserError, match="smallest, largest"):
        train(root / "cell")
    with pytest.raises(UserError, match="no segmenter was trained there"):
        predict.load(root / "cell")


def test_sets_that_are_not_those_of_the_row_are_refused(
    artifacts: Path, workspace: Workspace, train: Train
) -> None:
    root = workspace()
    train(root / "cell")
    file = root / "rows/semi.json"
    folders = {name: artifacts / name for name in ("pairs", "real", "trust")}
    for name, folder in (("pairs/semi", "pairs"), ("real/train", "real")):
        other = changed(artifacts, root / folder, name, lambda pair: replace(pair, seed=1))
        with pytest.raises(UserError, match=rf"{name} is not the set that .*; run the stage `rows"):
            main(row=file, seed=0, **folders | {folder: other / folder}, out=root / "no")
    with pytest.raises(UserError, match=r"none\.json is missing; run the stage `rows`"):
        main(row=root / "rows/none.json", seed=0, **folders, out=root / "no")
    file.write_text('{"row": "semi"}')
    with pytest.raises(UserError, match="is not the file of a row"):
        main(row=file, seed=0, **folders, out=root / "no")
    assert not (root / "no").exists()


def test_a_set_with_real_pairs_is_refused(
    artifacts: Path, workspace: Workspace, train: Train
) -> None:
    root = workspace()
    other = changed(
        artifacts,
        root / "copy",
        "pairs/semi",
        lambda pair: replace(pair, source="real" if pair.id == "semi-0103" else "semi"),
    )
    with pytest.raises(UserError, match="semi holds real pairs; a set has synthetic ones alone"):
        train(root / "cell", root=other)


def test_a_missing_system_library_is_named(
    artifacts: Path, workspace: Workspace, train: Train
) -> None:
    root = workspace()
    train(root / "cell", "real")
    broken = root / "broken/cv2"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')"
    )
    command = [sys.executable, "-m", "segment.stages.train", "--row", "rows/real.json"]
    command += ["--seed", "0", "--trust", "none", "--out", "broken_cell"]
    command += ["--pairs", artifacts / "pairs", "--real", artifacts / "real"]
    ran = subprocess.run(
        command,
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root / 'broken'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: OpenCV cannot be loaded (libGL.so.1")
    assert "libgl1" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
