"""The score stage with a trained segmenter as the judge."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.outputs import read_json
from data.stage.params import read_raw
from evaluate.cells import score_cell, score_matrix
from evaluate.config import ReportParams
from evaluate.metrics.frechet import frechet
from evaluate.stages import joints, score
from segment import predict
from segment.stages import train

ARTIFACTS = Path("artifacts")


def run(recipe: str) -> dict:
    out = ARTIFACTS / "scores" / f"{recipe}.json"
    score.main(
        recipe=recipe,
        pairs=ARTIFACTS / "pairs" / recipe,
        repainted=ARTIFACTS / "repainted" / recipe,
        cells=ARTIFACTS / "segment" / recipe,
        judge=ARTIFACTS / "segment" / "real",
        real=ARTIFACTS / "real",
        out=out,
    )
    return read_json(out)


def check_joint_scores(expected: dict) -> None:
    """A painter that paints the real images scores as they do, one that paints nothing does not."""
    held_out, painted = ARTIFACTS / "real/val", ARTIFACTS / "painted/e2e"
    real = PairSet(held_out)
    with ShardWriter(painted, classes=real.classes, size=real.size, fingerprint="x") as writer:
        for pair in real.pairs():
            writer.write(replace(pair, id=f"a-{pair.id}", source="before"))
        for pair in real.pairs():
            blank = np.zeros_like(pair.image)
            writer.write(replace(pair, id=f"b-{pair.id}", source="after", image=blank))
    out = ARTIFACTS / "scores/joints/e2e.json"
    judge = ARTIFACTS / "segment" / "real"
    joints.main(name="e2e", painted=painted, held_out=held_out, judge=judge, out=out)
    found = read_json(out)
    assert found["before"]["obedience"] == expected
    assert found["before"]["frechet"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["after"]["obedience"]["miou"] < expected["miou"]
    assert found["after"]["frechet"]["value"] > 0.01


def test_layouts_cells_and_obedience(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    cell = ARTIFACTS / "segment" / "real" / "0"
    shutil.rmtree(cell)
    pairs = ARTIFACTS / "pairs" / "real"
    train.main(recipe="real", seed=0, pairs=pairs, real=ARTIFACTS / "real", out=cell)

    real, palette = run("real"), run("palette")
    with np.load(cell / "confusion.npz") as arrays:
        total = arrays["val"].astype(np.int64).sum(axis=0)
    expected = score_matrix(total, PairSet(pairs).classes)
    weights = (cell / "model.safetensors").read_bytes()
    about = {"seed": 0, "sha256": hashlib.sha256(weights).hexdigest()}
    about["features"] = "resnet18_mlp backbone, last stage, averaged over the image"
    assert real["judge"] == palette["judge"] == about | expected
    assert real["cells"]["0"]["val"] == expected
    assert real["layouts"] is None
    assert real["obedience"]["num_pairs"] == 6, "the real training pairs, the others' yardstick"

    assert set(palette["cells"]) == {"0", "1", "2"}
    assert palette["num_pairs"] == {"real": 6, "palette": 12}
    assert palette["layouts"]["kl"] == pytest.approx(0, abs=1e-4)
    assert palette["obedience"]["num_pairs"] == 8
    # images here are drawn like real ones, so the judge reads both about equally well
    assert palette["obedience"]["miou"] > 25
    assert palette["obedience"]["miou"] == pytest.approx(expected["miou"], abs=15)
    assert real["gan_train"] is None and palette["gan_train"] is None

    described = predict.load_features(cell)
    val = described(np.stack([pair.image for pair in PairSet(ARTIFACTS / "real/val").pairs()]))
    fitted = described(np.stack([pair.image for pair in PairSet(pairs).pairs()]))
    assert real["frechet"]["value"] == pytest.approx(frechet(fitted, val), rel=1e-4)
    assert real["frechet"]["num_features"] == 64
    assert palette["copies"]["num_train"] == 6
    assert palette["diversity"]["num_layouts"] == 3
    check_joint_scores(expected)
    before = (ARTIFACTS / "scores/palette.json").read_bytes()
    run("palette")
    assert (ARTIFACTS / "scores/palette.json").read_bytes() == before, "same seeds, same numbers"


def test_gan_train_is_the_score_of_the_cell_without_real_pairs(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    params = ReportParams(**read_raw("report") | {"gan_train": ["semi"]})
    cells, real = ARTIFACTS / "segment" / "semi", ARTIFACTS / "real"
    with pytest.raises(
        UserError, match=r"semi/gan_train has no cell\.json.*report\.gan_train asks"
    ):
        score.gan_train("semi", params, cells, real, 12)
    shutil.copytree(cells / "0", cells / "gan_train")
    found = score.gan_train("semi", params, cells, real, 12)
    expected = score_cell(cells / "0", real)
    assert found == {"seed": 0, "num_pairs": 12} | expected["val"] | {"test": expected["test"]}
    assert score.gan_train("palette", params, cells, real, 12) is None


@pytest.mark.parametrize("name", ["real", "unknown"])
def test_gan_train_takes_recipes_that_make_pairs(make_project, tmp_path, monkeypatch, name):
    monkeypatch.chdir(make_project(tmp_path))
    file = Path("params.yaml")
    file.write_text(file.read_text().replace("gan_train: []", f"gan_train: [{name}]"))
    with pytest.raises(UserError, match=f"gan_train names '{name}'.*: semi, palette, partial"):
        run("semi")


def test_a_missing_cell_is_named_before_work_starts(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    shutil.rmtree(ARTIFACTS / "segment" / "semi" / "1")
    with pytest.raises(UserError, match="cell semi, seed 1 is missing"):
        run("semi")
    assert not (ARTIFACTS / "scores").exists()
