"""The audit says what is in a pair set; the contact sheet shows it."""

import io

import numpy as np
import pytest
from PIL import Image

from data import inspect
from data.classes import ClassInfo, ClassTable
from data.pairs import Pair
from data.shards import PairSet, ShardWriter
from data.sheets import contact_sheet

CLASSES = ClassTable(
    (
        ClassInfo("road", (10, 20, 30)),
        ClassInfo("cat", (200, 0, 0)),
        ClassInfo("void", (0, 0, 0), False),
    )
)


@pytest.fixture
def pairs(tmp_path) -> PairSet:
    """Two pairs of 4x8: all road, and half road with one pixel of void."""
    path = tmp_path / "set"
    with ShardWriter(path, classes=CLASSES, size=(4, 8), fingerprint="0") as writer:
        for index in range(2):
            label = np.zeros((4, 8), np.uint8)
            label[:2] = index
            label[3, 7] = 2 * index
            image = np.full((4, 8, 3), 50 * index, np.uint8)
            writer.write(Pair(id=f"p{index}", image=image, label=label, source="real"))
    return PairSet(path)


def test_the_audit_counts_pairs_shares_and_images(pairs) -> None:
    lines = inspect.audit(pairs).splitlines()
    assert "2 pairs of 4x8" in lines[0] and lines[1] == "sources: real 2"
    rows = {line.split()[1]: line.split()[2:] for line in lines[4:]}
    assert rows["road"] == [f"{100 * (32 + 15) / 64:.3f}", "2", "yes"]
    assert rows["cat"] == ["25.000", "1", "yes"]
    assert rows["void"] == [f"{100 / 64:.3f}", "1", "no"]


def test_the_sheet_shows_image_over_label(pairs, tmp_path, capsys) -> None:
    inspect.main(pairs.path, out=tmp_path / "sheet.png")
    assert "contact sheet" in capsys.readouterr().out
    sheet = np.asarray(Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())))
    flat = sheet.reshape(-1, 3)
    area = (1600 // (6 * 8)) ** 2
    for color, pixels in (((50, 50, 50), 32), ((200, 0, 0), 16), ((10, 20, 30), 32 + 15)):
        assert (flat == color).all(1).sum() == pixels * area


def test_without_out_the_sheet_is_named_after_the_set(pairs, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    inspect.main(pairs.path)
    assert "road" in capsys.readouterr().out
    name = f"{pairs.path.parent.name}-{pairs.path.name}.png"
    assert (tmp_path / "artifacts/inspect" / name).is_file()
    assert not list(pairs.path.parent.glob("*.png")), "the folder may be an output of a stage"


def test_a_contact_sheet_has_cells_where_they_belong() -> None:
    cell = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    sheet = np.asarray(contact_sheet([[cell, cell], [cell]], ["", ""], scale=2))
    assert (sheet[4:8:2, 4:10:2] == cell).all()
    assert (sheet[4:8:2, 14:20:2] == cell).all()
    assert (sheet[12:16:2, 4:10:2] == cell).all()
    assert (sheet[12:16, 14:] == 255).all()


def test_captions_are_written_above_and_fit() -> None:
    cell = np.full((4, 4, 3), 255, np.uint8)
    sheet = np.asarray(contact_sheet([[cell]], ["a caption wider than its row"]))
    dark = np.argwhere(sheet.min(2) < 128)
    assert len(dark) > 30
    assert dark[:, 0].max() < sheet.shape[0] - 8 and dark[:, 1].max() < sheet.shape[1] - 2
