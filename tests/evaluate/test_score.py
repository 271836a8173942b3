"""The score stage with a trained segmenter as the judge."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from data.errors import UserError
from data.outputs import read_json
from data.shards import PairSet
from evaluate import score
from evaluate.cells import score_matrix
from segment import train

ARTIFACTS = Path("artifacts")


def run(recipe: str) -> dict:
    out = ARTIFACTS / "scores" / f"{recipe}.json"
    score.main(
        recipe=recipe,
        pairs=ARTIFACTS / "pairs" / recipe,
        cells=ARTIFACTS / "segment" / recipe,
        judge=ARTIFACTS / "segment" / "real",
        real=ARTIFACTS / "real",
        out=out,
    )
    return read_json(out)


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
    assert real["judge"] == palette["judge"] == {"seed": 0} | expected
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


def test_a_missing_cell_is_named_before_work_starts(make_project, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    shutil.rmtree(ARTIFACTS / "segment" / "semi" / "1")
    with pytest.raises(UserError, match="cell semi, seed 1 is missing"):
        run("semi")
    assert not (ARTIFACTS / "scores").exists()
