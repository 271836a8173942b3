"""The poster's tables from a report whose numbers are small enough to check by hand."""

import copy

import pytest

from evaluate.page import beside
from evaluate.statistics import paired_delta, summarize

REAL = {"0": 40.0, "1": 42.0, "2": 44.0}
TABLE = {
    "real": ("none", "none", "none"),
    "palette": ("semantic_palette", "spade", "none"),
    "cgan": ("cgan", "spade", "none"),
    "sbgan": ("sbgan", "oasis", "none"),
    "palette_da": ("semantic_palette", "spade", "advent"),
}
GAINS = {  # over REAL; half a 95 % interval of 1, 2, 3 is 4.302653 * 1 / sqrt(3) = 2.48
    "palette": (1.0, 2.0, 3.0),
    "cgan": (-5.0, -6.0, -7.0),
    "sbgan": (5.0, 6.0, 7.0),
    "palette_da": (0.0, 0.0, 0.0),
}
FRECHET = {"real": 0.1, "palette": 3.25, "cgan": 2.5, "sbgan": 4.0, "palette_da": 3.25}


def numbers(name: str, seeds: int = 3) -> dict:
    real = dict(list(REAL.items())[:seeds])
    gains = GAINS.get(name, (0.0, 0.0, 0.0))
    cells = {seed: value + gains[int(seed)] for seed, value in real.items()}
    delta = None if name == "real" else paired_delta(cells, real)
    halves = {seed: value / 2 for seed, value in cells.items()}
    alone = {"miou": 21.0, "miou_star": 10.5} if name in ("palette", "cgan") else None
    obeyed = None if name == "real" else {"miou": 30.0, "miou_star": 15.0, "num_pairs": 5}
    return {
        "miou": summarize(cells),
        "miou_star": summarize(halves),
        "delta": delta,
        "gan_test": obeyed,
        "gan_train": alone,
        "frechet": {"value": FRECHET[name]},
    }


def layouts(recipe: str, kl: float | None, fsd: float) -> dict:
    return {"recipe": recipe, "kl_argmax": kl, "kl": 0.0, "fsd": fsd}


def report_of(*names: str, seeds: int = 3) -> dict:
    rows = {
        name: dict(zip(("layouts", "painter", "adapt"), TABLE[name], strict=True)) for name in names
    }
    return {
        "dataset": "streets",
        "size": [64, 128],
        "budget": {"arch": "resnet18_mlp"},
        "params": {"recipes": rows},
        "recipes": {name: numbers(name, seeds) for name in names},
        "layouts": {
            "none": layouts("real", None, 1.5),
            "semantic_palette": layouts("palette", 0.5, 12.0),
            "cgan": layouts("cgan", 0.25, 30.0),
            "sbgan": layouts("sbgan", None, 40.0),
        },
    }


@pytest.fixture
def report() -> dict:
    return report_of(*TABLE)


def line(table: str, start: str) -> list[str]:
    found = [row for row in table.splitlines() if row.startswith(f"| {start} |")]
    assert len(found) == 1, table
    return found[0].strip("| ").split(" | ")


def test_palettes_against_conditional_gans(report):
    table = beside.conditional(report)
    shown = line(table, "Sem. Palette")
    assert shown[1:3] == ["`palette`", "semantic_palette → spade"]
    assert shown[3:7] == ["0.50", "0.07", "3.25", "60.7"]
    assert shown[7:11] == ["30.0 / 15.0", "45.7 / 34.6", "21.0 / 10.5 (n = 1)", "40.1 / 30.6"]
    assert shown[11] == "+2.0 [-0.5, +4.5]"
    oracle = line(table, "Oracle (real pairs)")
    assert oracle[3:7] == ["–", "–", "0.10", "28.2"]  # noqa: RUF001
    assert oracle[7:] == ["–", "–", "42.0 ± 2.0 / 21.0 ± 1.0", "48.1 / 36.9", "–"]  # noqa: RUF001


def test_a_row_without_recipe_has_the_posters_numbers_alone(report):
    shown = line(beside.conditional(report), "Baseline 2")
    assert shown[1:] == [
        *("not run", "–", "–", "0.32", "–", "69.0"),  # noqa: RUF001
        *("–", "46.9 / 35.3", "–", "39.4 / 30.2", "–"),  # noqa: RUF001
    ]


def test_palettes_against_unconditional_gans(report):
    table = beside.unconditional(report)
    shown = line(table, "SB-GAN")
    assert shown[1:] == [
        *("`sbgan`", "sbgan → oasis", "40.0", "63.8", "4.00", "71.0"),
        "+6.0 [+3.5, +8.5]",
    ]
    assert line(table, "PCGAN")[1] == "not run"
    assert line(table, "Sem. Palette")[3:5] == ["12.0", "25.3"]


def test_data_augmentation(report):
    table = beside.augmentation(report)
    shown = line(table, "Sem. Palette")
    assert shown[3:] == [
        *("44.0 ± 3.0 / 22.0 ± 1.5", "+2.0 [-0.5, +4.5]"),
        *("49.4 (+1.3) / 38.0 (+1.1)", "43.8 (?) / 33.8 (?)"),
    ]
    assert line(table, "Sem. Palette + DA")[2] == "semantic_palette → spade, advent"
    assert line(table, "CauGAN")[1] == "not run"
    assert "val mIoU / mIoU\\* (n = 3)" in table


def test_what_is_significant_is_said_in_words(report):
    text = "\n\n".join(beside.section(report))
    assert "Ours: streets at 64x128, resnet18_mlp, 3 seeds" in text
    assert "Cityscapes/IDD 128x256" in text
    assert "**On val: `cgan` hurts; no evidence that `palette` helps or hurts.**" in text
    assert "**On val: `sbgan` helps; no evidence that `palette` helps or hurts.**" in text
    assert "or hurts.**\n* By KL, lowest first: `cgan` 0.25, `palette` 0.50: **not** the" in text
    assert "By FSD, lowest first: `palette` 12.00, `sbgan` 40.00: the poster's order." in text


def test_one_seed_has_neither_deviation_nor_significance():
    report = report_of("real", "cgan", seeds=1)
    text = "\n\n".join(beside.section(report))
    assert "One seed: nothing can be said about chance." in text
    assert "helps" not in text and "hurts" not in text
    assert "±" not in text
    assert line(beside.conditional(report), "Baseline 1")[-1] == "-5.0"


def test_the_default_rows_have_no_tables_of_their_own():
    assert beside.section(report_of("real", "palette")) == []


def test_layouts_whose_palettes_were_bent_give_no_fsd(report):
    bent = copy.deepcopy(report)
    bent["layouts"]["semantic_palette"]["recipe"] = "riders"
    bent["params"]["recipes"]["riders"] = bent["params"]["recipes"]["palette"] | {
        "controls": {"at_least": {"rider": 0.1}}
    }
    bent["recipes"]["riders"] = bent["recipes"]["palette"]
    shown = line(beside.unconditional(bent), "Sem. Palette")
    assert shown[1] == "`palette`" and shown[3] == "–"  # noqa: RUF001
