"""Palettes that lean: more of what is missed, in its company, not far from the real mean."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.outputs import write_json
from synth.making import drawing, sets
from synth.palettes import adaptive, palette
from synth.palettes.controls import Controls, control
from synth.stages import train_adaptive
from synth.training import artifact
from tests.synth import small
from tests.synth.scenes import law_of

NAMES = ("road", "sky", "car", "rider", "bicycle", "void")
EVAL = range(5)
RIDER, BICYCLE = 3, 4
IOU = np.array([0.9, 0.9, 0.8, 0.1, 0.85, np.nan])


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """400 palettes; in one of six there is a rider, and then a bicycle too; void is constant."""
    rng = np.random.default_rng(0)
    shares = np.zeros((400, 6))
    shares[:, :3] = rng.dirichlet([30, 20, 8], 400)
    there = rng.random(400) < 1 / 6
    shares[there, RIDER] = rng.uniform(0.02, 0.08, there.sum())
    shares[there, BICYCLE] = shares[there, RIDER] * rng.uniform(0.4, 0.8, there.sum())
    shares[:, :5] *= 0.9 / shares[:, :5].sum(1, keepdims=True)
    shares[:, 5] = 0.1
    return shares


@pytest.fixture(scope="module")
def fitted(real):
    params = palette.PaletteParams(**small.PALETTE | {"min_components": 2, "max_components": 4})
    return palette.fit(real, params, min_share=1e-4)[0]


def leaning(fitted, real, **changes):
    return adaptive.lean(
        fitted, real, IOU, EVAL, adaptive.Config(**NUMBERS | {"share": 1.0, **changes})
    )


def mean_of(law, n=4000):
    return law.sample(n, 77).astype(np.float64).mean(0)


def divergence_of(mean, real):
    wanted = real.mean(0)
    return (mean[mean > 0] * np.log(mean[mean > 0] / wanted[mean > 0])).sum()


def test_what_is_missed_comes_more_often_and_brings_its_company(fitted, real):
    law = leaning(fitted, real)
    before, after = mean_of(fitted), mean_of(law)
    assert after[RIDER] > 2 * before[RIDER]
    assert after[BICYCLE] > 2 * before[BICYCLE], "well segmented, but never without a rider"
    assert divergence_of(after, real) < 0.1
    np.testing.assert_allclose(after[5], 0.1, atol=1e-6)

    def company(drawn):  # how much bicycle there is where a rider is
        shown = drawn[:, RIDER] > law.thresholds[RIDER]
        return drawn[shown, BICYCLE].mean()

    plain, lent = (company(one.sample(4000, 5)) for one in (fitted, law))
    assert lent == pytest.approx(plain, rel=0.1)


def test_a_bound_on_the_divergence_lowers_the_power_until_it_holds(fitted, real):
    free = leaning(fitted, real, max_divergence=10.0)
    assert free.power == 1.0
    own = adaptive.divergence(replace(free, power=0.0), real)
    bound = own + 0.3 * (adaptive.divergence(free, real) - own)
    law = leaning(fitted, real, max_divergence=bound)
    assert 0 < law.power < 1
    assert adaptive.divergence(law, real) <= bound
    assert divergence_of(mean_of(law), real) == pytest.approx(bound, rel=0.25)
    shares = [mean_of(one)[RIDER] for one in (fitted, law, free)]
    assert shares == sorted(shares) and shares[1] > 1.1 * shares[0]


def test_a_bound_that_the_fitted_law_breaks_by_itself_is_one_line(fitted, real):
    with pytest.raises(UserError, match=r"alone are 0.\d+ nat from the real mean; set max_diverg"):
        leaning(fitted, real[real[:, RIDER] == 0] + 1e-6, max_divergence=1e-4)


def test_a_palette_follows_from_its_seed_alone(fitted, real):
    law = leaning(fitted, real, share=0.5)
    np.testing.assert_array_equal(law.sample(9, 3)[:4], law.sample(4, 3))
    assert not np.array_equal(law.sample(4, 3), law.sample(4, 4))
    assert law.sample(4, 3).dtype == np.float32
    np.testing.assert_allclose(law.sample(50, 0).sum(1), 1, atol=1e-6)


def test_what_does_not_lean_is_the_palette_of_the_fitted_law(fitted, real):
    for share in (0.25, 0.5):
        law = leaning(fitted, real, share=share)
        same = (law.sample(2000, 1) == fitted.sample(2000, 1)).all(1)
        assert same.mean() == pytest.approx(1 - share, abs=0.03)


def test_importance_is_a_softmax_over_classes_that_count():
    found = adaptive.importance(np.array([0.5, 0.3, 0.0, np.nan]), [0, 1, 3], 0.1)
    np.testing.assert_allclose(found, [1 / (1 + np.e**2), 1 / (1 + np.e**-2), 0, 0])
    with pytest.raises(UserError, match="no class that counts in mIoU is in the training pairs"):
        adaptive.importance(np.array([0.5, np.nan]), [1], 0.1)


def test_weights_by_hand(fitted):
    law = adaptive.AdaptivePalettes(
        fitted, np.array([0.0, 0.75, 0.25]), np.array([0.1, 0.2, 1.0]), 0.05, 2.0, 20, 0.5
    )
    shares = np.array([[0.6, 0.2, 0.2], [0.5, 0.3, 0.2]])
    np.testing.assert_allclose(law.weights(shares), [0.05**2, 0.8**2])


def test_a_threshold_is_a_quantile_of_where_a_class_is():
    real = np.array([[1.0, 0, 0], [0.9, 0.1, 0], [0.8, 0.2, 0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(adaptive.thresholds(real, 0.25), [0.725, 0.15, 1.0])


def test_iou_is_that_of_all_folds_together(tmp_path):
    for fold, matrix in enumerate(([[8, 2, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [5, 5, 0]])):
        matrix = [*matrix, [0, 0, 0]][:3]
        (tmp_path / str(fold)).mkdir()
        write_json(tmp_path / str(fold) / "fold.json", {"confusion": matrix})
    found = adaptive.held_out_iou(tmp_path, [0, 1], [0, 1])
    np.testing.assert_allclose(found, [8 / 15, 5 / 12, np.nan])
    with pytest.raises(UserError, match=r"fold 2 is missing: there is no .*2/fold.json; run"):
        adaptive.held_out_iou(tmp_path, [0, 1, 2], [0, 1])


# == the stage, and the pairs of a set that names what it wrote ==

CLASSES = ClassTable(
    (*(ClassInfo(name, (0, 0, 0)) for name in NAMES[:3]), ClassInfo("void", (0, 0, 0), False))
)
SIZE = (32, 64)
NUMBERS = {
    "temperature": 0.15,
    "floor": 0.05,
    "power": 1.0,
    "num_candidates": 20,
    "threshold_quantile": 0.25,
    "max_divergence": 0.1,
    "share": 0.5,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Real pairs, a fitted palette, networks as initialised, and two folds that miss cars."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    with ShardWriter(tmp_path / "train", classes=CLASSES, size=SIZE, fingerprint="f") as writer:
        for number in range(12):
            label = np.zeros(SIZE, np.uint8)
            label[: int(rng.integers(8, 16))] = 1
            label[20:28, : 12 + number if number < 4 else 0] = 2
            image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            writer.write(Pair(f"scene-{number}", image, label, "real"))
    shares = PairSet(tmp_path / "train").column("palette")
    law = law_of(shares, most=2, min_share=1e-4)
    law.save(tmp_path / "palette", {})
    torch.manual_seed(0)
    for name in ("semantic_palette", "sbgan", "oasis"):
        measures = {"kl_argmax": 1.5}
        small.write_artifact(tmp_path / name, name, CLASSES, SIZE, law, measures)
    for fold in ("0", "1"):
        (tmp_path / "folds" / fold).mkdir(parents=True)
        matrix = np.diag([90, 80, 5, 0])
        matrix[2, 0] = 40  # cars are taken for road, void is not there
        write_json(tmp_path / "folds" / fold / "fold.json", {"confusion": matrix.tolist()})
    lists = {"layouts": ["real", "semantic_palette", "sbgan"], "joints": {}, "folds": [0, 1]}
    laws = {"leaning": NUMBERS | {"max_divergence": 5.0}, "sbgan": NUMBERS, "astray": NUMBERS}
    sections = {"train": lists, "adaptive": laws}
    YAML().dump(sections, tmp_path / "params.yaml")
    return tmp_path


def adapt(folder, name="leaning", base="semantic_palette"):
    train_adaptive.main(
        name=name,
        train=folder / "train",
        palette=folder / "palette",
        folds=folder / "folds",
        layout=folder / base,
        layout_out=folder / name,
    )


def set_of(folder, layouts):
    row = sets.SetParams(layouts=layouts, painter="oasis", num_pairs=16)
    where = sets.Artifacts(folder / "palette", folder / layouts, folder / "oasis")
    return sets.load("it", row, PairSet(folder / "train"), where, device=torch.device("cpu"))


def test_the_stage_keeps_the_method_and_writes_how_palettes_lean(folder):
    adapt(folder)
    about = artifact.describe(folder / "leaning")
    assert (about.name, about.method) == ("leaning", "semantic_palette")
    for name in (artifact.WEIGHTS, artifact.CURVE):
        assert (folder / "leaning" / name).read_bytes() == (
            folder / "semantic_palette" / name
        ).read_bytes()
    written = json.loads((folder / "leaning" / adaptive.LAW_FILE).read_text())
    assert np.argmax(written["importance"]) == 2
    assert written["iou"][2] == pytest.approx(10 / 90) and written["iou"][3] is None
    before = (folder / "leaning" / adaptive.LAW_FILE).read_bytes()
    adapt(folder)
    assert (folder / "leaning" / adaptive.LAW_FILE).read_bytes() == before


def test_pairs_that_do_not_lean_are_those_of_the_set_without_it(folder):
    adapt(folder)
    plain, lent = (set_of(folder, name) for name in ("semantic_palette", "leaning"))
    assert type(plain.palettes) is palette.PaletteModel, "nothing changes where nothing leans"
    pairs = [small.make_pairs(one, range(16), 0) for one in (plain, lent)]
    same = [np.array_equal(a.target, b.target) for a, b in zip(*pairs, strict=True)]
    assert 0 < sum(same) < 16
    for equal, a, b in zip(same, *pairs, strict=True):
        assert np.array_equal(a.label, b.label) or not equal
    alone = drawing.draw_palette(lent, 5, 0)
    np.testing.assert_array_equal(alone, pairs[1][5].target, "by its index alone")


def test_leaning_palettes_keep_the_controls_of_a_set(folder):
    adapt(folder)
    ready = set_of(folder, "leaning")
    asked = control(Controls(absent=("sky",)), CLASSES, ready.palettes, np.eye(4)[:1])
    made = replace(ready, control=asked)
    assert all(drawing.draw_palette(made, index, 0)[1] == 0 for index in range(4))


def test_layouts_that_follow_no_palette_are_refused(folder):
    adapt(folder, "astray", "sbgan")
    with pytest.raises(UserError, match="adaptive palettes, but its layouts 'astray' follow no"):
        set_of(folder, "astray")


def test_the_name_of_trained_layouts_is_refused(folder):
    with pytest.raises(UserError, match="'sbgan' names trained layouts"):
        adapt(folder, "sbgan")


def test_without_folds_there_is_nothing_to_lean_by(folder):
    params = YAML(typ="safe").load(folder / "params.yaml")
    params["train"]["folds"] = []
    YAML().dump(params, folder / "params.yaml")
    with pytest.raises(UserError, match=r"want folds; set train.folds"):
        adapt(folder)
    assert not (folder / "leaning").exists()
