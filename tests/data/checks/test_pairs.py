"""Every fault of a pair is found and named."""

import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.checks.forgery import bomb, encoded, forge, repaint, set_value, swap
from tests.data.checks.helpers import PARTIAL, REAL, SIZE, found

# shard, what the forger does, the pair that is named, what is said of it
FORGED = {
    "image swapped": (REAL, swap, "r0", "sha256 is not that of its image and label"),
    "label": (REAL, repaint(1, lambda x: x.fill(2), False), "r1", "sha256 is not that"),
    "palette": (REAL, repaint(1, lambda x: x.fill(2)), "r1", "palette is not the class shares"),
    "palette bits": (
        REAL,
        lambda rows: rows[2]["palette"].__setitem__(0, rows[2]["palette"][0] + 1e-6),
        "r2",
        "palette is not the class shares",
    ),
    "no class": (REAL, repaint(0, lambda x: x.fill(3)), "r0", r"not classes \(3\); there are 3"),
    "ignored": (REAL, repaint(0, lambda x: x.fill(255)), "r0", r"not classes \(255\)"),
    "id twice": (REAL, set_value(3, id="r1"), "r1", "occurs twice"),
    "no image": (REAL, set_value(0, image=None), "r0", "image is null"),
    "no id": (REAL, set_value(0, id=None), None, "id is null"),
    "image size": (
        REAL,
        set_value(0, image=encoded(np.zeros((16, 16, 3), np.uint8))),
        "r0",
        "image is 16x16 pixels, the set 32x16",
    ),
    "image text": (
        REAL,
        set_value(0, image={"bytes": b"GIF89a", "path": ""}),
        "r0",
        "image is not an intact PNG or JPEG or WEBP",
    ),
    "label bomb": (REAL, set_value(0, label=bomb()), "r0", "label is"),
    "label colour": (
        REAL,
        set_value(0, label=encoded(np.zeros((*SIZE, 3), np.uint8))),
        "r0",
        "label has the mode RGB, it must be L",
    ),
    "label jpeg": (
        REAL,
        set_value(0, label=encoded(np.zeros(SIZE, np.uint8), "JPEG")),
        "r0",
        "label is not an intact PNG",
    ),
    "source": (REAL, set_value(0, source="web"), "r0", "does not know its source 'web'"),
    "target": (PARTIAL, set_value(0, target=[0.5, 0.4, 0.0]), "p0", "add up to 0.9000"),
    "target length": (PARTIAL, set_value(0, target=[0.5, 0.5]), "p0", "has 2 shares"),
    "target NaN": (PARTIAL, set_value(0, target=[float("nan")] * 3), "p0", "is not a palette"),
    "parent": (PARTIAL, set_value(1, parent="r99"), "p1", "'r99' is not a pair of the set"),
    "parent not real": (PARTIAL, set_value(1, parent="p0"), "p1", "'p0' is a synthetic pair"),
    "edited values": (
        PARTIAL,
        set_value(2, edited=encoded(np.ones(SIZE, np.uint8))),
        "p2",
        "edited has values other than 0 and 255",
    ),
    "edited size": (
        PARTIAL,
        set_value(2, edited=encoded(np.zeros((8, 8), np.uint8))),
        "p2",
        "edited is 8x8 pixels, the set 32x16",
    ),
    "edited orphan": (PARTIAL, set_value(2, parent=None), "p2", "is edited but has no parent"),
    "outside edited": (
        PARTIAL,
        set_value(2, edited=encoded(np.zeros(SIZE, np.uint8))),
        "p2",
        r"differs from its parent 'r2' in \d+ pixels outside `edited`",
    ),
    "other parent": (PARTIAL, set_value(0, parent="r5"), "p0", "differs from its parent 'r5'"),
}


@pytest.mark.parametrize("case", FORGED)
def test_what_is_wrong_with_a_pair_is_said_of_the_pair(pairs, case) -> None:
    shard, change, pair, message = FORGED[case]
    forge(pairs, shard, change)
    faults = found(pairs)
    named = re.escape(f"{shard}: pair {pair!r}: ")
    assert any(re.match(f"{named}.*{message}", fault) for fault in faults), faults


def test_a_filter_may_ignore_pixels_of_synthetic_labels(pairs) -> None:
    def ignore(rows: list[dict[str, Any]]) -> None:
        repaint(0, lambda label: label[10:].fill(255))(rows)
        label = np.asarray(Image.open(io.BytesIO(rows[0]["label"]["bytes"])))
        shares = np.bincount(label[:10].ravel(), minlength=3) / 320
        rows[0]["palette"] = shares.astype(np.float32)

    forge(pairs, PARTIAL, ignore)
    assert found(pairs) == []
