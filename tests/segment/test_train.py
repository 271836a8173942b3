"""The stage: what a cell holds, that it learns, that equal seeds give equal bytes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from data.pairs.confusion import confusion, scores
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from segment import predict
from segment.stages.train import main

ROOT = Path(__file__).resolve().parents[2]

Workspace = Callable[..., Path]


def train(artifacts: Path, out: Path, recipe: str = "semi", seed: int = 0) -> Path:
    main(
        recipe=recipe,
        seed=seed,
        pairs=artifacts / "pairs" / recipe,
        real=artifacts / "real",
        out=out,
    )
    return out


def test_a_cell_holds_what_scores_are_made_of(artifacts: Path, workspace: Workspace) -> None:
    out = train(artifacts, workspace() / "cell")
    assert {path.name for path in out.iterdir()} == {
        "model.safetensors",
        "cell.json",
        "confusion.npz",
    }
    cell = json.loads((out / "cell.json").read_text())
    assert cell["splits"] == {"val": 6, "test": 4}
    assert cell["real_share"] == 0.5
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


def test_equal_seeds_give_equal_bytes(artifacts: Path, workspace: Workspace) -> None:
    root = workspace()
    one, two = train(artifacts, root / "one"), train(artifacts, root / "two")
    other = train(artifacts, root / "other", seed=1)
    for name in ("model.safetensors", "cell.json", "confusion.npz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()


def test_workers_change_nothing(artifacts: Path, workspace: Workspace) -> None:
    alone = predict_val(train(artifacts, workspace() / "alone"), artifacts)
    workers = predict_val(train(artifacts, workspace(num_workers=2) / "workers"), artifacts)
    assert np.array_equal(alone, workers)


def test_synthetic_only_sees_every_synthetic_pair_and_no_real_one(
    artifacts: Path, workspace: Workspace
) -> None:
    root = workspace(num_slices=9)
    pairs = list(PairSet(artifacts / "pairs/semi").pairs())
    negative = [
        replace(pair, image=255 - pair.image) if pair.source == "real" else pair for pair in pairs
    ]
    black = replace(pairs[-1], image=np.zeros_like(pairs[-1].image))
    features = {}
    for name, found in {"semi": pairs, "reals": negative, "last": [*pairs[:-1], black]}.items():
        classes, size = PairSet(artifacts / "real/val").classes, pairs[0].label.shape
        with ShardWriter(root / name, classes=classes, size=size, fingerprint="f") as writer:
            for pair in found:
                writer.write(pair)
        alone(artifacts, root / name, root / "cells" / name)
        assert json.loads((root / "cells" / name / "cell.json").read_text())["real_share"] == 0
        describe = predict.load_features(root / "cells" / name)
        features[name] = describe(np.full((1, *size, 3), 90, np.uint8))
    assert np.array_equal(features["semi"], features["reals"])
    assert not np.array_equal(features["semi"], features["last"])
    with pytest.raises(UserError, match="pairs/real holds no synthetic pairs"):
        alone(artifacts, artifacts / "pairs/real", root / "none")


def alone(artifacts: Path, pairs: Path, out: Path) -> None:
    main(
        recipe="semi",
        seed=0,
        pairs=pairs,
        real=artifacts / "real",
        out=out,
        synthetic_only=True,
    )


def predict_val(cell: Path, artifacts: Path) -> np.ndarray:
    images = np.stack([pair.image for pair in PairSet(artifacts / "real/val").pairs()])
    return predict.load(cell)(images)


@pytest.mark.parametrize(("precision", "supervise"), [("float32", "all"), ("bfloat16", "eval")])
def test_it_learns(artifacts: Path, workspace: Workspace, precision: str, supervise: str) -> None:
    root = workspace(iterations=60, val_every=60, precision=precision, supervise=supervise)
    cell = json.loads((train(artifacts, root / "cell", "real") / "cell.json").read_text())
    assert cell["val_curve"][-1][1] > 60
    assert cell["real_share"] == 1.0


def test_nothing_is_left_of_a_failed_training(artifacts: Path, workspace: Workspace) -> None:
    root = workspace(learning_rate=1e30)
    with pytest.raises(UserError, match=r"lower segment\.learning_rate"):
        train(artifacts, root / "cells/cell")
    assert list((root / "cells").iterdir()) == []


def test_mistakes_are_named_before_work_starts(artifacts: Path, workspace: Workspace) -> None:
    root = workspace(num_slices=20)
    with pytest.raises(UserError, match=r"9 synthetic pairs, fewer than segment\.num_slices = 20"):
        train(artifacts, root / "cell")
    with pytest.raises(UserError, match=r"adapt = 'daformer'; there is none, advent"):
        main(
            recipe="strange",
            seed=0,
            pairs=artifacts / "pairs/semi",
            real=artifacts / "real",
            out=root / "cell",
        )
    workspace(arch="resnet18_mpl")
    with pytest.raises(UserError, match="unknown arch"):
        train(artifacts, root / "cell")
    workspace(crop=[1.0, 0.5])
    with pytest.raises(UserError, match="smallest, largest"):
        train(artifacts, root / "cell")
    with pytest.raises(UserError, match="no segmenter was trained there"):
        predict.load(root / "cell")


def test_a_missing_system_library_is_named(artifacts: Path, workspace: Workspace) -> None:
    root = workspace()
    broken = root / "broken/cv2"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')"
    )
    command = [sys.executable, "-m", "segment.stages.train", "--recipe", "real", "--seed", "0"]
    command += ["--pairs", artifacts / "pairs/real", "--real", artifacts / "real", "--out", "cell"]
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
