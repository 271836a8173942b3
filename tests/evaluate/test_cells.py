"""Scores of cells from their confusion matrices, and which cells are refused."""

import numpy as np
import pytest

from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from evaluate.cells import cell_dir, score_cell, score_matrix

# rows: truth road, sky, car (absent), void; columns: prediction
MATRIX = np.array([[6, 1, 1, 2], [0, 4, 0, 1], [0, 0, 0, 0], [3, 0, 0, 7]])


def test_four_classes_by_hand(classes):
    found = score_matrix(MATRIX, classes)
    road = 6 / (6 + 1 + 1 + 2 + 0)  # the 3 void pixels called road are left out
    sky = 4 / (4 + 0 + 1 + 1)
    assert found["miou"] == pytest.approx(100 * (road + sky) / 2)
    star = [6 / (10 + 9 - 6), 4 / (5 + 5 - 4), 0, 7 / (10 + 10 - 7)]
    assert found["miou_star"] == pytest.approx(100 * sum(star) / 4)
    assert found["iou"]["road"] == pytest.approx(100 * road)
    assert found["iou"]["car"] is None
    assert found["absent"] == ["car"]


def test_a_missing_cell_is_named(make_project, tmp_path):
    cells = make_project(tmp_path) / "artifacts/segment/semi"
    assert cell_dir(cells, "semi", 2) == cells / "2"
    with pytest.raises(UserError, match="cell semi, seed 3 is missing"):
        cell_dir(cells, "semi", 3)


def test_a_cell_of_another_recipe_is_refused(make_project, tmp_path):
    cells = make_project(tmp_path) / "artifacts/segment/semi"
    file = cells / "1" / "cell.json"
    write_json(file, read_json(file) | {"recipe": "palette"})
    with pytest.raises(UserError, match="holds recipe palette, seed 1, not semi"):
        cell_dir(cells, "semi", 1)


def test_a_cell_scored_on_other_pairs_is_refused(make_project, tmp_path):
    project = make_project(tmp_path / "a")
    other = make_project(tmp_path / "b", test=False)
    folder = project / "artifacts/segment/real/0"
    assert set(score_cell(folder, project / "artifacts/real")) == {"val", "test"}
    assert score_cell(folder, other / "artifacts/real")["test"] is None
    with np.load(folder / "confusion.npz") as arrays:
        content = dict(arrays)
    content["val_ids"] = content["val_ids"][::-1]
    np.savez(folder / "confusion.npz", **content)
    with pytest.raises(UserError, match="was not scored on the pairs of"):
        score_cell(folder, project / "artifacts/real")
