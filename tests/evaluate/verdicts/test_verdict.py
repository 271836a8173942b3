"""Words that follow from intervals."""

from types import SimpleNamespace

import pytest

from evaluate.page.beside import order
from evaluate.page.page import compute_in_words
from evaluate.statistics import HELPS, HURTS, NO_EVIDENCE, Interval
from evaluate.verdicts import verdict
from evaluate.verdicts.gains import BOTH, IOU, MIOU, Gain, Gains

ONE = (None, None)


def content(gains: dict[str, tuple[float, tuple, str]], **further) -> SimpleNamespace:
    """What the words are made of: gains (mean, (low, high), what is said) of rows on test."""
    of_rows = [gain(row, MIOU, None, *entry) for row, entry in gains.items()]
    found = {"head": "test", "rows": list(gains), "gains": Gains(of_rows)}
    return SimpleNamespace(**found | further)


def gain(row, metric, name, mean, bounds, said) -> Gain:
    seeds = 1 if bounds == ONE else 3
    found = Interval(mean, *bounds, seeds, None if bounds == ONE else 0.01)
    return Gain(row, "test", BOTH, "real_more", metric, name, found, found.p, said)


def test_each_row_is_said_to_do_what_its_interval_says():
    found = content(
        {
            "worse": (-5.0, (-6.0, -4.0), HURTS),
            "good": (2.0, (1.0, 3.0), HELPS),
            "best": (5.0, (4.5, 5.5), HELPS),
            "unclear": (0.5, (-1.0, 2.0), NO_EVIDENCE),
            "once": (9.0, ONE, NO_EVIDENCE),
        }
    )
    assert verdict.headline(found) == (
        "**`best` (+5.0 [+4.5, +5.5]) and `good` (+2.0 [+1.0, +3.0]) help**, `worse` (-5.0 "
        "[-6.0, -4.0]) hurts: points of mIoU over `real_more` on test."
    )
    assert verdict.power(found).startswith("Gains smaller than about 0.5 to 1.5 points cannot")


def test_no_row_helps_names_the_best_of_those_with_an_interval():
    rows = {"a": (0.5, (-1.0, 2.0), NO_EVIDENCE), "b": (-0.5, (-2.0, 1.0), NO_EVIDENCE)}
    said = "**No row helps**: the best is `a`, +0.5 [-1.0, +2.0] points of mIoU over `real_more` on"
    assert verdict.headline(content(rows)) == f"{said} test."
    rows |= {"once": (3.0, ONE, NO_EVIDENCE), "worse": (-5.0, (-6.0, -4.0), HURTS)}
    assert verdict.headline(content(rows)) == f"{said} test; `worse` (-5.0 [-6.0, -4.0]) hurts."


def test_one_seed_says_nothing_about_chance():
    found = content({"semi": (2.0, ONE, NO_EVIDENCE)})
    text = verdict.headline(found)
    assert text.startswith("**One seed: nothing can be said about chance**; highest is `semi`")
    assert "help" not in text and verdict.power(found) == ""
    assert verdict.says(found.gains.of("semi", "test")) == "one seed"


def test_an_interval_that_only_many_rows_make_doubtful_is_marked():
    lonely = content({"a": (1.0, (0.1, 1.9), NO_EVIDENCE)}).gains.of("a", "test")
    assert verdict.says(lonely) == "no evidence (Holm)"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((-1.05, -2.131, 0.031), "-1.05 [-2.13, +0.03]"),
        ((-0.9, -2.1, 0.3), "-0.9 [-2.1, +0.3]"),
        ((-0.001, None, None), "+0.0"),
    ],
)
def test_a_bound_near_zero_keeps_its_side(found, text):
    assert verdict.interval(Interval(*found, 3)) == text


CLASSES = [
    {"name": "road", "eval": True},
    {"name": "void", "eval": False},
    {"name": "bike", "eval": True},
    {"name": "pole", "eval": True},
]


def test_classes_are_said_to_be_helped_hurt_or_noise():
    noise = (0.5, (-1.0, 2.0), NO_EVIDENCE)
    found = content({}, classes=CLASSES)
    found.rows, found.gains = (
        ["palette", "partial"],
        Gains(
            [
                gain("palette", IOU, "void", 9.0, (8.0, 10.0), HELPS),
                gain("palette", IOU, "bike", 6.0, (2.0, 10.0), HELPS),
                gain("partial", IOU, "bike", 9.94, (9.0, 11.0), HELPS),
                gain("palette", IOU, "road", *noise),
                gain("partial", IOU, "road", -2.0, (-3.0, -1.0), HURTS),
                gain("partial", IOU, "pole", *noise),
                gain("palette", IOU, "pole", 3.0, ONE, NO_EVIDENCE),
            ]
        ),
    )
    assert verdict.class_verdict(found) == [
        "**Helped:** bike (`palette` +6.0, `partial` +9.9).",
        "**Hurt:** road (`partial` -2.0).",
        "**Noise:** 2 of 5 gains, whose intervals hold zero. Classes are judged one by one: by "
        "chance alone about 0.25 of 5 intervals exclude it.",
    ]
    found.gains = Gains([gain("palette", IOU, "bike", 1.0, ONE, NO_EVIDENCE)])
    assert verdict.class_verdict(found) == []


def test_an_order_is_compared_with_the_posters():
    lines = [("palette", 0.5, 0.07), ("cgan", 0.25, 1.17), ("none", None, 3.0)]
    assert order(lines, "KL") == (
        "By KL, lowest first: `cgan` 0.25, `palette` 0.50: **not** the poster's order."
    )
    assert order(lines[::2], "KL") == ""


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (None, ""),
        ({"precision": "bf16", "channels_last": False, "threads": 1}, "bf16, 1 thread"),
        (
            {"precision": "fp32", "channels_last": True, "threads": 2},
            "fp32, channels last, 2 threads",
        ),
    ],
)
def test_what_computed_it_in_words(compute, words):
    assert compute_in_words(compute) == words
