"""A set that names the real set it starts from, and keeps pixels of it."""

import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.pairs.pair import content_hash, encode_png
from data.tools import verify
from tests.data.checks.forgery import forge, seal, set_value
from tests.data.checks.helpers import PARTIAL, REAL, found


def spoil(row: int, place: tuple[int, int]):
    """Change one pixel of an image; its sha256 follows."""

    def edit(rows: list[dict[str, Any]]) -> None:
        image = np.asarray(Image.open(io.BytesIO(rows[row]["image"]["bytes"]))).copy()
        image[place] ^= 1
        rows[row]["image"]["bytes"] = encode_png(image)
        contents = (rows[row]["image"]["bytes"], rows[row]["label"]["bytes"])
        rows[row]["sha256"] = content_hash(*contents)

    return edit


def test_parents_are_found_in_the_real_set_that_is_named(kept, capsys) -> None:
    assert found(kept) == []
    (kept.parent / "real").rename(kept.parent / "moved")
    (fault,) = found(kept)
    assert re.match(r"manifest\.json: .*/real', which is not there; say where .* --real", fault)
    verify.main([kept], real=kept.parent / "moved")
    assert capsys.readouterr().out.splitlines() == [f"{kept}: 3 pairs in 1 shard, all intact"]


def test_another_real_set_is_not_taken_for_the_one_that_is_named(kept) -> None:
    forge(kept.parent / "real", REAL, lambda rows: rows.reverse())
    (fault,) = found(kept)
    assert "but another one is there now; make the set again" in fault


@pytest.mark.parametrize("path", ["/etc/passwd", "a\0b", "", "\x1b[2J\n", "x" * 9999])
def test_a_name_that_leads_nowhere_is_a_fault_in_one_line(kept, path) -> None:
    seal(kept, lambda manifest: manifest["starts_from"].update(path=path))
    (fault,) = found(kept)
    assert "is not there" in fault and fault.isprintable()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil(0, (0, 0)), "should keep the image of its parent 'r0' .* differs in 1 pixels"),
        (set_value(0, edited=None), "has no `edited`, though its set keeps real pixels"),
        (set_value(0, parent="r9"), "its parent 'r9' is not a real pair of "),
        (set_value(0, style="p1"), "its style 'p1' is not a real pair of "),
        (set_value(0, donors=["r1", "p1"]), "its donor 'p1' is not a real pair of "),
        (set_value(0, parent="r1"), "differs from its parent 'r1'"),
    ],
)
def test_what_is_wrong_with_real_pixels_and_names_is_said(kept, change, message) -> None:
    forge(kept, PARTIAL, change)
    assert any(re.match(f"{PARTIAL}: pair 'p0': .*{message}", fault) for fault in found(kept))


def test_pixels_inside_the_edit_are_free_and_so_are_those_of_a_set_that_keeps_none(kept) -> None:
    forge(kept, PARTIAL, spoil(0, (5, 0)))
    assert found(kept) == []
    forge(kept, PARTIAL, spoil(0, (0, 0)))
    assert len(found(kept)) == 1
    seal(kept, lambda manifest: manifest["origin"]["partial"].pop("keep"))
    assert found(kept) == []
