"""The poster's rows, the recipes that stand for them, and the preset that makes every one."""

import os
import subprocess

import pytest
from ruamel.yaml import YAML

from data.tools import preset
from evaluate.page import poster
from evaluate.page.poster import AUGMENTATION, CONDITIONAL, REAL, UNCONDITIONAL, entry, row_of


def made(layouts: str, painter: str = "spade", adapt: str = "none", **further) -> dict:
    recipe = {"layouts": layouts, "painter": painter, "adapt": adapt}
    return recipe | {"end_to_end": False} | further


DEFAULT = {
    "real": made("none", "none"),
    "semi": made("real"),
    "palette": made("semantic_palette"),
    "partial": made("partial_palette"),
}


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
    assert entry(None, "IDD", star=True) == ""


@pytest.mark.parametrize(
    ("recipe", "table", "name"),
    [
        (made("none", "none"), AUGMENTATION, "real"),
        (made("none", "none"), CONDITIONAL, "Oracle (real pairs)"),
        (made("sbgan"), UNCONDITIONAL, "SB-GAN"),
        (made("sbgan", "pix2pixhd"), UNCONDITIONAL, "PCGAN"),
        (made("semantic_palette", "oasis"), AUGMENTATION, "Sem. Palette"),
        (made("semantic_palette", adapt="advent"), AUGMENTATION, "Sem. Palette + DA"),
        (made("semantic_palette", end_to_end=True), CONDITIONAL, "Sem. Palette, end to end"),
        (made("semantic_palette"), CONDITIONAL, "Sem. Palette"),
        (made("partial_palette", end_to_end=True), AUGMENTATION, "Part. Sem. Palette"),
        (made("semantic_palette", adapt="advent"), CONDITIONAL, None),
        (made("semantic_palette", "pix2pixhd"), AUGMENTATION, None),
        (made("semantic_palette", controls={"absent": ["car"]}), AUGMENTATION, None),
        (made("partial_palette", edits={"add": {"car": 0.1}}), AUGMENTATION, None),
    ],
)
def test_a_recipe_stands_for_the_row_it_is_made_like(recipe, table, name):
    row = row_of(recipe, table)
    assert (row and row.name) == name


def test_a_joint_stands_for_the_methods_that_it_tuned_and_half_of_one_for_nothing():
    joints = {"tuned": {"layouts": "sbgan", "painter": "spade", "num_images": 8}}
    recipes = {
        "whole": {"layouts": "tuned", "painter": "tuned", "adapt": "none"},
        "half": {"layouts": "tuned", "painter": "spade", "adapt": "none"},
        "plain": {"layouts": "sbgan", "painter": "spade", "adapt": "none"},
    }
    found = poster.recipes_of({"recipes": recipes, "joints": joints})
    assert found["whole"] == made("sbgan", end_to_end=True)
    assert found["plain"] == made("sbgan")
    names = [row and row.name for row in (row_of(r, UNCONDITIONAL) for r in found.values())]
    assert names == ["SB-GAN, end to end", None, "SB-GAN"]
    assert poster.recipes_of({"recipes": recipes})["plain"] == made("sbgan")


def test_every_recipe_of_a_row_has_a_line_and_so_has_a_row_without_one():
    recipes = {"a": made("semantic_palette"), "b": made("semantic_palette", "oasis")}
    lines = [(row.name, name) for row, name in poster.with_recipes(UNCONDITIONAL, recipes)]
    assert lines[:4] == [
        ("PCGAN", None),
        ("SB-GAN", None),
        ("Sem. Palette", "a"),
        ("Sem. Palette", "b"),
    ]


def test_the_tables_are_for_runs_with_more_than_the_default_rows():
    assert row_of(DEFAULT["real"]) is REAL
    assert not poster.has_more_than_default(DEFAULT)
    assert not poster.has_more_than_default(DEFAULT | {"ours": made("real", "pix2pixhd")})
    assert poster.has_more_than_default(DEFAULT | {"ours": made("cgan")})
    assert poster.has_more_than_default(DEFAULT | {"ours": made("partial_palette", adapt="advent")})


@pytest.mark.parametrize("name", ["poster", "camvid"])
def test_the_presets_report_every_row_of_the_poster(root, name):
    base, overlay = (root / path for path in ("params.yaml", f"presets/{name}.yaml"))
    params = YAML(typ="safe", pure=True).load(
        preset.merged(base.read_text(), overlay.read_text(), name)
    )
    report, joints = params["report"], params["train"]["joints"]
    rows = {row: params["recipes"][row] for row in report["recipes"] + report["scored"]}
    recipes = poster.recipes_of({"recipes": rows, "joints": joints})
    for table in (CONDITIONAL, UNCONDITIONAL, AUGMENTATION):
        absent = [row.name for row, found in poster.with_recipes(table, recipes) if found is None]
        assert not absent
    with_cells = {row: recipes[row] for row in report["recipes"]}
    augmented = poster.with_recipes(AUGMENTATION, with_cells)
    assert None not in [found for _, found in augmented], "each has a segmenter for every seed"
    asked = {found for row, found in poster.with_recipes(CONDITIONAL, recipes) if row.gan_test}
    assert asked <= set(report["gan_train"])


def test_make_poster_merges_the_preset_and_runs_two_stages_at_a_time(root):
    make = ["make", "--dry-run", "--no-print-directory", "poster"]
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    shown = subprocess.run(
        make, cwd=root, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert shown.index("data.tools.preset poster") < shown.index("flows.pipeline --workers 2")
