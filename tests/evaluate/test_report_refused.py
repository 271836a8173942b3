"""What a report is not made of: cells that are missing, unequal, or of rows without sense."""

import pytest

from data.stage.errors import UserError
from data.stage.outputs import read_json, write_json
from evaluate.stages import report
from segment.batches.mixes import require_slices
from tests.evaluate.projects import ARTIFACTS, OUT, change


def test_seeds_that_read_the_same_synthetic_pairs_are_refused():
    require_slices([0, 1, 2], 3)
    with pytest.raises(UserError, match=r"share slices.*num_slices is 3"):
        require_slices([0, 1, 2, 3], 3)


@pytest.mark.parametrize(
    "missing",
    ["segment/palette/1/cell.json", "scores/palette.json", "layouts/semantic_palette/method.json"],
)
def test_what_is_missing_is_named_and_nothing_is_written(project, missing):
    (ARTIFACTS / missing).unlink()
    with pytest.raises(UserError, match="palette"):
        report.main(artifacts=ARTIFACTS, out=OUT)
    assert not OUT.exists()


def test_cells_with_unequal_training_are_not_compared(project):
    file = ARTIFACTS / "segment" / "partial" / "2" / "cell.json"
    write_json(file, read_json(file) | {"iterations": 160})
    with pytest.raises(UserError, match=r"row partial, seed 2 with arch .*, iterations 160"):
        report.main(artifacts=ARTIFACTS, out=OUT)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rows": ["semi"]}, "`real` is missing"),
        ({"once": ["semi"]}, "name 'semi' twice"),
        ({"rows": ["real"], "once": ["real_more"]}, "`real_more` is a baseline"),
        ({"seeds": [1, 1]}, "seeds must be distinct"),
        ({"rows": ["real", "a b"]}, "name 'a b' is not allowed"),
    ],
)
def test_rows_that_make_no_sense_are_refused(make_project, tmp_path, monkeypatch, keys, said):
    monkeypatch.chdir(make_project(tmp_path))
    change(report=keys)
    with pytest.raises(UserError, match=said):
        report.main(artifacts=ARTIFACTS, out=OUT)
