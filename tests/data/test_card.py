"""The card tells a stranger what is real, what is not, and what may be done with it."""

from pathlib import Path

import numpy as np
import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.tools.card import card
from data.tools.exports.union import Union

SIZE = (4, 10)
CLASSES = ClassTable(
    (
        ClassInfo("road", (128, 64, 128)),
        ClassInfo("a|b\n## fake", (0, 10, 255)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
ORIGIN = {
    "real": {"dataset": "camvid", "licence": "research data, non-commercial"},
    "semi": {"layouts": "real", "painter": "spade"},
    "partial": {"layouts": "partial_palette", "painter": "oasis"},
    "palette": {"layouts": "semantic_palette", "painter": "spade"},
}


def write(out: Path, counts: dict[str, int], origin: dict[str, dict[str, str]]) -> PairSet:
    """Real pairs are all road, synthetic ones a tenth of class 1."""
    with ShardWriter(out, classes=CLASSES, size=SIZE, fingerprint="f", origin=origin) as writer:
        for source, count in counts.items():
            for index in range(count):
                label = np.zeros(SIZE, np.uint8)
                label[:, :1] = source != "real"
                image = np.full((*SIZE, 3), index, np.uint8)
                parent = "real-0" if source in ("semi", "partial") else None
                pair = Pair(f"{source}-{index}", image, label, source, parent=parent)
                writer.write(pair)
    return PairSet(out)


@pytest.fixture
def page(tmp_path: Path) -> str:
    counts = {"palette": 1, "partial": 3, "real": 5, "semi": 2}
    splits = {
        "train": Union([write(tmp_path / "train", counts, ORIGIN)]),
        "val": Union([write(tmp_path / "val", {"real": 4}, ORIGIN)]),
    }
    return card(splits, "my streets", "FILES ARE HERE")


def test_it_counts_what_is_real_and_what_is_synthetic(page) -> None:
    lines = page.splitlines()
    assert lines[0] == "# my streets"
    assert "15 images of 10x4 pixels with label maps of 3 classes" in page
    assert "**9 pairs are real, 6 synthetic.**" in page
    rows = [line for line in lines if line.startswith(("| train | ", "| val | "))][:5]
    assert rows == [
        "| train | real | 5 | real | dataset `camvid` |",
        "| train | palette | 1 | synthetic | layouts `semantic_palette`, painter `spade` |",
        "| train | partial | 3 | labels real in part, images synthetic "
        "| layouts `partial_palette`, painter `oasis` |",
        "| train | semi | 2 | labels real, images synthetic | layouts `real`, painter `spade` |",
        "| val | real | 4 | real | dataset `camvid` |",
    ]


def test_it_lists_the_classes_with_their_share(page) -> None:
    assert "| 0 | road | #804080 | yes | 100.00 | 90.00 |" in page
    assert "| 2 | void | #000000 | no | 0.00 | 0.00 |" in page


def test_names_stay_in_their_cell(page) -> None:
    assert "| 1 | a\\|b ## fake | #000aff | yes | 0.00 | 10.00 |" in page.splitlines()


def test_it_says_licence_files_and_checks(page, tmp_path) -> None:
    assert "Real pairs (dataset `camvid`): research data, non-commercial." in page
    assert "licence of those extends to them" in page
    assert "FILES ARE HERE" in page
    manifest = PairSet(tmp_path / "val").manifest
    assert f"| val | 4 | `{manifest['sha256']}` |" in page


def test_a_real_set_says_nothing_of_synthetic_pairs(tmp_path) -> None:
    page = card({"val": Union([write(tmp_path / "set", {"real": 2}, {})])}, "x", "")
    assert "**2 pairs are real, 0 synthetic.**" in page
    assert "% of synthetic" not in page and "painted" not in page and "learned from" not in page
    assert "nothing is known of the licence" in page


def test_it_says_where_real_pixels_were_kept(tmp_path) -> None:
    origin = {"partial": ORIGIN["partial"] | {"keep": "true"}}
    page = card({"train": Union([write(tmp_path / "set", {"partial": 1}, origin)])}, "x", "")
    assert "| labels and images real outside `edited` |" in page and "keep `true`" in page
