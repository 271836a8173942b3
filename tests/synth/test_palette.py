"""Palettes: singular covariances on purpose, exact zeros, seeds, no pickle."""

import json

import numpy as np
import pytest

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import ShardWriter
from data.stage.errors import UserError
from synth.palettes.components import most_components
from synth.palettes.palette import MODEL_FILE, PaletteModel, PaletteParams, fit, project
from synth.stages import fit_palette
from tests.synth import small


def fitted(shares, projection="simplex", max_components=4, min_share=1e-4, seed=0, **changes):
    groups = changes.pop("groups", None)
    changes |= {"projection": projection, "max_components": max_components, "seed": seed}
    params = PaletteParams(**small.PALETTE | changes)
    return fit(np.asarray(shares, np.float32), params, min_share=min_share, groups=groups)


@pytest.fixture(scope="module")
def street_shares():
    """120 palettes of 35 classes, of which 12 ever occur, three of them rarely."""
    rng = np.random.default_rng(0)
    shares = np.zeros((120, 35))
    shares[:, 7:19] = rng.dirichlet(np.r_[8, 6, 5, 4, 3, 2, 1, 1, 0.5, 0.5, 0.3, 0.3], 120)
    shares[:, 16:19] *= rng.random((120, 3)) < 0.2
    return shares / shares.sum(1, keepdims=True)


def test_draws_are_palettes_and_absent_classes_stay_absent(street_shares):
    model, _ = fitted(street_shares)
    drawn = model.sample(2000, seed=3)
    assert drawn.shape == (2000, 35) and drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.sum(1), 1, atol=1e-6)
    never = street_shares.max(0) == 0
    assert never.sum() == 23 and (drawn[:, never] == 0).all()
    assert ((drawn == 0) | (drawn >= 1e-4 * 0.999)).all()
    assert (drawn[:, 16:19] == 0).mean() > 0.3  # exact zeros, as in the data
    np.testing.assert_allclose(drawn.mean(0), street_shares.mean(0), atol=0.02)


def test_correlations_survive():
    rng = np.random.default_rng(1)
    a = rng.uniform(0.1, 0.3, 200)
    shares = np.stack([a, 0.5 - a, np.full(200, 0.5)], 1)  # class 0 grows where class 1 shrinks
    model, _ = fitted(shares, max_components=1)
    drawn = model.sample(500, seed=0)
    assert np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] < -0.99
    np.testing.assert_allclose(drawn[:, 2], 0.5, atol=1e-6)  # constant, though never absent


def test_the_floor_is_relative_to_each_class():
    rng = np.random.default_rng(2)
    rare = rng.uniform(0.001, 0.002, 300)
    road = rng.uniform(0.2, 0.6, 300)
    shares = np.stack([rare, road, 1 - rare - road], 1)
    drawn = fitted(shares, max_components=1, min_share=0)[0].sample(4000, seed=0)
    assert drawn[:, 0].std() == pytest.approx(rare.std(), rel=0.1)


@pytest.mark.parametrize("num_pairs", [1, 20])
def test_identical_palettes_are_returned_as_they_are(num_pairs):
    palette = np.array([0.0, 0.25, 0.0, 0.75])
    model, choice = fitted(np.tile(palette, (num_pairs, 1)))
    assert choice.curve == []
    np.testing.assert_allclose(model.sample(5, seed=0), np.tile(palette, (5, 1)))


def test_two_pairs_of_many_classes_do_not_break_the_fit(street_shares):
    model, choice = fitted(street_shares[:2])
    assert [components for components, _ in choice.curve] == [1]
    drawn = model.sample(50, seed=0)
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn.sum(1), 1, atol=1e-6)


def test_the_saved_model_is_the_one_that_aic_chose():
    rng = np.random.default_rng(4)
    centres = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]])
    shares = np.abs(centres[rng.integers(3, size=300)] + rng.normal(0, 0.01, (300, 3)))
    model, choice = fitted(shares / shares.sum(1, keepdims=True), max_components=6)
    assert [components for components, _ in choice.curve] == [1, 2, 3, 4, 5, 6]
    assert len(model.weights) == min(choice.curve, key=lambda point: point[1])[0] >= 3
    kind = np.abs(model.sample(300, seed=0)[:, None] - centres).sum(2).argmin(1)
    assert (np.diff(kind) != 0).sum() > 100  # shuffled, not grouped by component


def test_the_range_of_components_follows_the_data():
    assert most_components(2975, 34) == 80  # the paper's 1..30 is allowed on Cityscapes
    assert most_components(200, 24) == 7
    assert most_components(3, 34) == 1
    shares = np.random.default_rng(5).dirichlet(np.ones(20), 60)
    _, choice = fitted(shares, max_components=30)
    assert len(choice.curve) == most_components(60, 19) == 2


def test_same_seed_same_bytes_and_a_longer_draw_begins_alike(street_shares):
    one, two = (fitted(street_shares)[0] for _ in range(2))
    assert one.sample(40, seed=9).tobytes() == two.sample(40, seed=9).tobytes()
    np.testing.assert_array_equal(one.sample(40, seed=9)[:7], one.sample(7, seed=9))
    assert not np.array_equal(one.sample(7, seed=9), one.sample(7, seed=10))


def test_projections():
    np.testing.assert_allclose(
        project(np.array([[0.5, 0.8], [2.0, 0.0], [-0.5, 0.5]]), "simplex"),
        [[0.35, 0.65], [1, 0], [0, 1]],
    )
    np.testing.assert_allclose(project(np.array([[-0.5, 0.5, 0.5]]), "clip"), [[0, 0.5, 0.5]])
    rng = np.random.default_rng(6)
    point = rng.normal(0.1, 0.3, (1, 6))
    nearest = project(point, "simplex")
    others = rng.dirichlet(np.ones(6), 5000)
    assert np.linalg.norm(nearest - point) <= np.linalg.norm(others - point, axis=1).min()


def test_round_trip_through_files(street_shares, tmp_path):
    model, _ = fitted(street_shares, projection="clip")
    model.save(tmp_path / "a", {"seed": 0})
    model.save(tmp_path / "b", {"seed": 0})
    assert (tmp_path / "a" / MODEL_FILE).read_bytes() == (tmp_path / "b" / MODEL_FILE).read_bytes()
    again = PaletteModel.load(tmp_path / "a")
    np.testing.assert_array_equal(model.sample(20, seed=1), again.sample(20, seed=1))
    with pytest.raises(UserError, match=r"no palette\.json"):
        PaletteModel.load(tmp_path)


@pytest.mark.parametrize("shares", [np.empty((0, 3)), [[0.5, 0.6]], [[-0.5, 1.5]]])
def test_what_is_no_palette_is_refused(shares):
    with pytest.raises(UserError):
        fitted(shares)


# -- the number of components, and how often classes are there ------------------------------------


def videos(rng, centres, frames=40):
    """Palettes of one video each around a centre, and far from each other."""
    found = [np.abs(centre + rng.normal(0, 0.004, (frames, 3))) for centre in centres]
    shares = np.concatenate(found)
    names = [f"video {number}" for number in range(len(centres)) for _ in range(frames)]
    return shares / shares.sum(1, keepdims=True), names


def test_aic_learns_videos_by_heart_and_held_out_videos_do_not():
    rng = np.random.default_rng(0)
    shares, names = videos(rng, rng.dirichlet((6, 6, 6), 6))
    by_aic, _ = fitted(shares, max_components=10)
    by_video, choice = fitted(shares, max_components=10, chosen_by="held_out", groups=names)
    assert len(by_aic.weights) >= 6 > len(by_video.weights)
    assert choice.by == "held_out" and len(choice.curve) < 10, "it stops when it gets no better"
    assert min(choice.curve, key=lambda point: point[1])[0] == len(by_video.weights)


def test_pairs_are_held_out_where_there_are_no_groups():
    rng = np.random.default_rng(0)
    shares, _ = videos(rng, rng.dirichlet((6, 6, 6), 6))
    order = rng.permutation(len(shares))
    for groups in (None, [None] * len(shares), ["all"] * len(shares)):
        model, choice = fitted(
            shares[order], max_components=10, chosen_by="held_out", groups=groups
        )
        assert choice.by == "held_out" and len(model.weights) >= 5, (
            "videos are told by their frames"
        )
    few, choice = fitted(shares[order][:6], chosen_by="held_out")
    assert choice.by == "aic" and len(few.weights) >= 1


def test_calibrated_classes_are_there_as_often_and_as_large_as_in_real_palettes(street_shares):
    drawn = fitted(street_shares, "calibrated")[0].sample(4000, seed=3)
    np.testing.assert_allclose(drawn.sum(1), 1, atol=1e-5)
    assert ((drawn == 0) | (drawn >= 1e-4 * 0.999)).all() and (drawn <= 1).all()
    real = np.where(street_shares < 1e-4, 0, street_shares)
    gap = (drawn > 0).mean(0) - (real > 0).mean(0)
    assert np.abs(gap).max() < 0.03
    projected = fitted(street_shares)[0].sample(4000, seed=3)
    assert np.abs((projected > 0).mean(0) - (real > 0).mean(0)).max() > 0.1
    for quantile in (0.1, 0.5, 0.9):
        for entry in range(8, 16):
            ours, theirs = (part[part[:, entry] > 0, entry] for part in (drawn, real))
            far = np.quantile(ours, quantile) - np.quantile(theirs, quantile)
            assert abs(far) < 0.25 * theirs.std()


def test_calibrated_classes_keep_their_company():
    rng = np.random.default_rng(1)
    there = rng.random(300) < 0.4
    a = np.where(there, rng.uniform(0.1, 0.2, 300), 0)
    b = np.where(there ^ (rng.random(300) < 0.05), rng.uniform(0.1, 0.2, 300), 0)
    model, _ = fitted(np.stack([a, b, 1 - a - b], 1), "calibrated", max_components=1)
    drawn = model.sample(2000, seed=0) > 0
    assert np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] > 0.5


def test_the_class_of_the_rest_is_never_squeezed_out():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.05, 0.45, (2, 300))
    model, _ = fitted(np.stack([a, b, 1 - a - b], 1), "calibrated", max_components=1)
    drawn = model.sample(4000, seed=0)
    assert drawn[:, 2].min() > 0.09


def test_a_calibrated_law_is_saved_whole(street_shares, tmp_path):
    model, _ = fitted(street_shares, "calibrated")
    model.save(tmp_path, {})
    again = PaletteModel.load(tmp_path)
    np.testing.assert_array_equal(model.sample(20, seed=1), again.sample(20, seed=1))
    np.testing.assert_array_equal(model.sample(20, seed=1)[:5], model.sample(5, seed=1))


def test_stage_writes_the_curve_and_the_names(tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    table = ClassTable(tuple(ClassInfo(name, (i, i, i)) for i, name in enumerate("abcd")))
    train = tmp_path / "train"
    with ShardWriter(train, classes=table, size=(8, 16), fingerprint="f") as writer:
        for number in range(12):
            label = rng.integers(0, 3, (8, 16)).astype(np.uint8)
            writer.write(Pair(f"{number}", np.zeros((8, 16, 3), np.uint8), label, "real"))
    monkeypatch.chdir(tmp_path)
    small.write_params(tmp_path, palette=small.PALETTE | {"max_components": 2, "seed": 1})
    fit_palette.main(train=train, out=tmp_path / "palette")
    report = json.loads((tmp_path / "palette" / "palette.json").read_text())
    assert report["classes"] == list("abcd") and report["seed"] == 1
    assert report["chosen_by"] == "aic"
    assert [point["components"] for point in report["curve"]] == [1, 2]
    drawn = PaletteModel.load(tmp_path / "palette").sample(10, seed=0)
    assert (drawn[:, 3] == 0).all() and (drawn[drawn > 0] >= 0.5 / 128 * 0.999).all()
