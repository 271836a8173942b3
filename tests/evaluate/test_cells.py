"""Scores of cells from their confusion matrices, and which cells are refused."""

import numpy as np
import pytest

from data.pairs.confusion import scores
from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from evaluate import cells
from evaluate.cells import group_sums, read_cell, read_splits, sums_of, values

# rows: truth road, sky, car (absent), void; columns: prediction
MATRIX = np.array([[6, 1, 1, 2], [0, 4, 0, 1], [0, 0, 0, 0], [3, 0, 0, 7]])


def test_four_classes_by_hand(classes):
    miou, star, *iou = values(sums_of(MATRIX, classes.eval_ids), classes.eval_ids)
    road = 6 / (6 + 1 + 1 + 2 + 0)  # the 3 void pixels called road are left out
    sky = 4 / (4 + 0 + 1 + 1)
    assert miou == pytest.approx(100 * (road + sky) / 2)
    stars = [6 / (10 + 9 - 6), 4 / (5 + 5 - 4), 0, 7 / (10 + 10 - 7)]
    assert star == pytest.approx(100 * sum(stars) / 4)
    assert iou[0] == pytest.approx(100 * road)
    assert np.isnan(iou[2])


def test_sums_of_images_give_the_scores_of_the_whole_split(classes):
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 50, (3, 5, 4, 4)) * (rng.random((3, 5, 4, 1)) < 0.7)
    found = values(sums_of(matrices, classes.eval_ids).sum(axis=1), classes.eval_ids)
    for row, matrix in zip(found, matrices.sum(axis=1), strict=True):
        expected = scores(matrix, classes.eval_ids)
        np.testing.assert_allclose(row, [expected.miou, expected.miou_star, *expected.iou])


def test_a_missing_cell_is_named(make_project, tmp_path):
    folder = make_project(tmp_path) / "artifacts/segment/semi"
    assert read_cell(folder / "2", "semi", 2).about["real_ratio"] == 0.5
    with pytest.raises(UserError, match="cell semi, seed 3 is missing"):
        read_cell(folder / "3", "semi", 3)


def test_a_cell_of_another_row_is_refused(make_project, tmp_path):
    folder = make_project(tmp_path) / "artifacts/segment/semi"
    write_json(folder / "1/cell.json", read_json(folder / "1/cell.json") | {"row": "palette"})
    with pytest.raises(UserError, match="holds row palette, seed 1, not semi"):
        read_cell(folder / "1", "semi", 1)


def test_a_cell_scored_on_other_pairs_is_refused(make_project, tmp_path):
    artifacts = make_project(tmp_path) / "artifacts"
    val, test = read_splits(artifacts / "real")
    assert (val.name, test.name) == ("val", "test")
    cell = read_cell(artifacts / "segment/real/0", "real", 0)
    with np.load(cell.folder / "confusion.npz") as arrays:
        content = dict(arrays)
    expected = sums_of(content["val"], val.eval_ids).sum(axis=0)
    np.testing.assert_array_equal(group_sums(cell, val).sum(axis=0), expected)
    content["val_ids"] = content["val_ids"][::-1]
    np.savez(cell.folder / "confusion.npz", **content)
    with pytest.raises(UserError, match="was not scored on the pairs of"):
        group_sums(cell, val)


def test_without_groups_neighbours_are_blocks_and_with_groups_they_are_those(
    make_project, tmp_path, monkeypatch
):
    real = make_project(tmp_path) / "artifacts/real"
    monkeypatch.setattr(cells, "MAX_BLOCKS", 3)
    (val, _) = read_splits(real)
    assert not val.named and val.group.tolist() == [0, 0, 1, 1, 2, 2]

    class Grouped(cells.PairSet):
        def column(self, name):
            found = ["b", "a", "a", None, "b", "b"]
            return found if name == "group" else super().column(name)

    class WithGroup:
        names = ("id", "group")

    monkeypatch.setattr(cells, "PairSet", Grouped)
    monkeypatch.setattr(cells, "schema", lambda classes, size: WithGroup)
    (val, _) = read_splits(real)
    assert val.named and val.groups == ("", "a", "b")
    assert val.group.tolist() == [2, 1, 1, 0, 2, 2]
