"""The poster's rows, the sets that stand for them, and the preset that makes every one."""

import os
import subprocess

import pytest
from ruamel.yaml import YAML

from data.tools import preset
from evaluate.page import poster
from evaluate.page.poster import AUGMENTATION, CONDITIONAL, REAL, UNCONDITIONAL, Made, entry


def named(made: Made, table) -> str | None:
    return next((row.name for row, _ in poster.like(table, {"own": made})), None)


def test_gains_are_the_differences_of_the_posters_scores():
    shown = [entry(row, "Cityscapes", star=False) for row in AUGMENTATION]
    assert shown == [
        "48.1",
        "48.2 (+0.1)",
        "45.5 (-2.6)",
        "49.4 (+1.3)",
        "51.6 (+3.5)",
        "51.9 (+3.8)",
        "52.6 (+4.5)",
    ]
    shown = [entry(row, "IDD", star=True) for row in AUGMENTATION]
    assert shown[1:4] == ["33.6 (-0.2)", "33.5 (-0.3)", "33.8 (?)"]
    assert entry(CONDITIONAL[0], "IDD", star=True) == ""
    assert entry(REAL, "IDD", star=True) == "33.8"


@pytest.mark.parametrize(
    ("made", "table", "name"),
    [
        (Made("none", "none"), AUGMENTATION, "real"),
        (Made("sbgan", "spade"), UNCONDITIONAL, "SB-GAN"),
        (Made("sbgan", "pix2pixhd"), UNCONDITIONAL, "PCGAN"),
        (Made("semantic_palette", "oasis"), AUGMENTATION, "Sem. Palette"),
        (Made("semantic_palette", "spade", "advent"), AUGMENTATION, "Sem. Palette + DA"),
        (
            Made("semantic_palette", "spade", end_to_end=True),
            CONDITIONAL,
            "Sem. Palette, end to end",
        ),
        (Made("semantic_palette", "spade"), CONDITIONAL, "Sem. Palette"),
        (Made("partial_palette", "spade", end_to_end=True), AUGMENTATION, "Part. Sem. Palette"),
        (Made("semantic_palette", "spade", "advent"), CONDITIONAL, None),
        (Made("semantic_palette", "pix2pixhd"), AUGMENTATION, None),
    ],
)
def test_what_is_made_like_a_row_stands_for_it(made, table, name):
    assert named(made, table) == name


def test_a_joint_stands_for_the_methods_that_it_tuned_and_half_of_one_for_nothing():
    params = {
        "joints": {"tuned": {"layouts": "sbgan", "painter": "spade", "num_images": 8}},
        "sets": {
            "whole": {"layouts": "tuned", "painter": "tuned", "num_pairs": 4},
            "half": {"layouts": "tuned", "painter": "spade", "num_pairs": 4},
            "plain": {"layouts": "sbgan", "painter": "spade", "num_pairs": 4, "keep": False},
        },
    }
    found = poster.sets_of(params)
    assert found["whole"] == Made("sbgan", "spade", end_to_end=True)
    assert found["plain"] == Made("sbgan", "spade")
    names = [named(made, UNCONDITIONAL) for made in found.values()]
    assert names == ["SB-GAN, end to end", None, "SB-GAN"]


@pytest.mark.parametrize("key", [{"controls": {"absent": ["car"]}}, {"edits": {}}, {"keep": True}])
def test_a_set_that_asks_for_something_else_stands_for_nothing(key):
    made = {"layouts": "semantic_palette", "painter": "spade", "num_pairs": 4} | key
    plain = not any(key.values())
    assert ("own" in poster.sets_of({"sets": {"own": made}})) == plain


def test_rows_of_one_plain_set_stand_for_it_and_those_without_real_pairs_for_gan_train():
    sets = {name: {"layouts": "real", "painter": "spade"} for name in ("a", "b")}
    rows = {
        "real": {},
        "real_more": {"real": 8},
        "a": {"with": ["a"]},
        "a_da": {"with": ["a"], "adapt": "advent"},
        "a_alone": {"with": ["a"], "real": 0},
        "fewer": {"with": ["a"], "real": 2},
        "mixed": {"with": ["a", "b"]},
        "trusted": {"with": ["a"], "trust": True},
    }
    params = {"sets": sets, "rows": rows}
    assert poster.rows_of(params) == {
        "real": Made("none", "none"),
        "a": Made("real", "spade"),
        "a_da": Made("real", "spade", "advent"),
    }
    assert poster.alone_of(params) == {"a": "a_alone"}


def test_everything_that_is_made_like_a_row_has_a_line_in_the_order_of_the_poster():
    made = {
        "plain": Made("semantic_palette", "spade"),
        "oasis": Made("semantic_palette", "oasis"),
        "first": Made("sbgan", "pix2pixhd"),
    }
    lines = [(row.name, name) for row, name in poster.like(UNCONDITIONAL, made)]
    assert lines == [("PCGAN", "first"), ("Sem. Palette", "plain"), ("Sem. Palette", "oasis")]


@pytest.mark.parametrize("name", ["poster", "camvid"])
def test_the_presets_report_every_row_of_the_poster(root, name):
    base, overlay = (root / path for path in ("params.yaml", f"presets/{name}.yaml"))
    params = YAML(typ="safe", pure=True).load(
        preset.merged(base.read_text(), overlay.read_text(), name)
    )
    report = params["report"]
    assert set(report["rows"] + report["once"]) <= set(params["rows"])
    params["joints"] = params["train"]["joints"]
    sets, rows = poster.sets_of(params), poster.rows_of(params)
    for table, made in ((CONDITIONAL[:-1], sets), (UNCONDITIONAL, sets), (AUGMENTATION, rows)):
        assert {row.name for row in table} == {row.name for row, _ in poster.like(table, made)}
    augmented = {found for _, found in poster.like(AUGMENTATION, rows)}
    assert augmented <= set(report["rows"]), "each has a segmenter for every seed"
    asked = {name for row, name in poster.like(CONDITIONAL, sets) if row.gan_test}
    alone = poster.alone_of(params)
    assert asked <= {name for name, row in alone.items() if row in report["once"]}


def test_make_poster_merges_the_preset_and_says_how_long_it_will_take(root):
    make = ["make", "--dry-run", "--no-print-directory", "poster"]
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    shown = subprocess.run(
        make, cwd=root, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert (
        shown.index("data.tools.preset poster")
        < shown.index("bench.estimate")
        < shown.index("flows.pipeline")
    )
