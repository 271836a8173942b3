"""What is said of a set of pairs, by a judge that reads colours."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from data.pairs.pair import palette_of
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from evaluate.metrics import METRICS
from evaluate.metrics.components import distances, pieces
from evaluate.metrics.features import in_deviations, see
from evaluate.metrics.frechet import frechet
from evaluate.metrics.fsd import fsd
from evaluate.metrics.inception import Inception
from evaluate.metrics.judge import Judge, features, labelled, scored_rows
from evaluate.metrics.kl import kl, targets_and_palettes
from evaluate.metrics.metric import (
    Found,
    Metric,
    RealPairs,
    Reference,
    Scored,
    compute_all,
    yardsticks,
)
from evaluate.metrics.presence import divergence, gap, presence

DARKEST = Inception(lambda images: images.min(axis=(1, 2)).astype(np.float32), "abc")


def colours(pairs, rows=None):
    """Mean colours, then those of the second stride: red and blue of every second pixel."""
    images = [pair.image for pair in pairs.pairs(rows)]
    both = [(image, image[::2, ::2, ::2]) for image in images]
    return np.stack([np.concatenate([one.mean(axis=(0, 1)) for one in two]) for two in both])


def apart(one, other):
    """How far two images are apart: the mean over strides and positions, written out."""
    means = []
    for step in (1, 2):
        a, b = (image[::step, ::step, ::step].astype(float) for image in (one, other))
        a, b = (x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-6) for x in (a, b))
        means.append(((a - b) ** 2).sum(axis=2).mean())
    return np.mean(means)


def darkest(pairs, rows=None):
    return np.stack([pair.image.min(axis=(0, 1)) for pair in pairs.pairs(rows)])


@pytest.fixture(scope="module")
def artifacts(make_project, tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project")) / "artifacts"


@pytest.fixture(scope="module")
def reference(artifacts, colour_eyes):
    def of(split: str) -> RealPairs:
        pairs = PairSet(artifacts / "real" / split)
        seen = see(pairs, range(len(pairs)), colour_eyes, batch_size=4)
        groups = tuple(f"video {number % 2}" for number in range(len(pairs)))
        parts = pieces((pair.label for pair in pairs.pairs()), 4)
        ids, palettes = tuple(pairs.ids()), pairs.column("palette")
        return RealPairs(ids, groups, palettes, parts, seen, darkest(pairs))

    return Reference(of("train"), of("val"), val_miou=61.5)


@pytest.fixture
def score(artifacts, reference, colour_judge):
    def of(name: str, rows: list[int], judge: Judge = colour_judge, **further) -> Scored:
        pairs = PairSet(artifacts / "pairs" / name)
        every = pairs.select(name).tolist()
        return Scored(pairs, every, rows, judge, reference, 4, **further)

    return of


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.name == name and metric.in_words.endswith(".")
    assert len({metric.header for metric in METRICS.values()}) == len(METRICS)


def test_synthetic_pairs_by_hand(artifacts, reference, score, colour_eyes):
    rows = [0, 2, 7]  # layouts of training pairs 0, 2 and 1, in the same colours
    again = PairSet(artifacts / "repainted/semi")
    scored = score("semi", rows, repainted=again, eyes=colour_eyes, inception=DARKEST)
    values, facts = compute_all(METRICS, scored)
    found = {v["metric"]: v["value"] for v in values if "class" not in v}
    pairs = PairSet(artifacts / "pairs/semi")
    train, val = (colours(PairSet(artifacts / "real" / name)) for name in ("train", "val"))
    own, train, val = (x / train.std(axis=0) / 5**0.5 for x in (colours(pairs, rows), train, val))
    assert found["alignment"] == 100
    assert found["feature_frechet"] == pytest.approx(frechet(own, val), rel=1e-4)
    assert found["fid"] == pytest.approx(
        frechet(darkest(pairs, rows), reference.val.inception), rel=1e-5
    )
    assert found["fsd"] == pytest.approx(fsd(pairs.column("palette")[rows], reference.val.palettes))
    assert "kl" not in found, "real layouts are asked for nothing"

    distance = np.linalg.norm(own[:, None] - train, axis=2)
    distance[[0, 1, 2], [0, 2, 1]] = np.inf  # their parents, whose colours they share
    closest = facts["feature_copies"]["closest"]
    assert closest[0]["distance"] == pytest.approx(distance.min(), rel=1e-4)
    nearest = np.unravel_index(distance.argmin(), distance.shape)
    assert closest[0]["id"] == f"semi-{rows[nearest[0]]}"
    assert closest[0]["real"] == reference.train.ids[nearest[1]]

    images = [pair.image for pair in again.pairs()]  # layouts 0, 1, 2, then 0, 1, 2 again
    brighter = np.mean([apart(images[i], images[i + 3]) for i in range(3)])
    real = [pair.image for pair in PairSet(artifacts / "real/train").pairs()]
    scale = np.mean([apart(*two) for two in itertools.combinations(real, 2)])
    assert found["feature_diversity_distance"] == pytest.approx(brighter, rel=1e-3)
    assert found["feature_diversity_real"] == pytest.approx(scale, rel=1e-4)
    assert found["feature_diversity"] == pytest.approx(100 * brighter / scale, rel=1e-3)


def test_one_image_has_no_distribution_and_no_inception_no_fid(score, colour_eyes):
    scored = score("palette", [7], eyes=colour_eyes)
    found = {v["metric"] for v in compute_all(METRICS, scored)[0]}
    assert {"alignment", "feature_copies", "kl"} <= found
    assert not found & {"fsd", "feature_frechet", "fid", "feature_diversity"}


def test_without_pretrained_features_their_metrics_are_left_out(score, artifacts, reference):
    again = PairSet(artifacts / "repainted/semi")
    found = {
        v["metric"] for v in compute_all(METRICS, score("semi", [0, 2, 7], repainted=again))[0]
    }
    of_labels = {"presence", "presence_kl", "components", "components_edges"}
    assert found == {"alignment", "alignment_star", "fsd"} | of_labels
    blind = replace(
        reference,
        train=replace(reference.train, seen=None),
        val=replace(reference.val, seen=None),
    )
    known = {entry["metric"] for entry in yardsticks(METRICS, blind, 3)}
    assert known == {"alignment", "fid", "fsd", "kl", "presence", "components"}


def test_a_channel_that_hardly_varies_is_not_blown_up():
    train = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    found = in_deviations(np.array([[4.0, 5.1]]), train) - in_deviations(train[:1], train)
    deviation = np.sqrt(8 / 3)
    floor = 0.01 * deviation / 2
    np.testing.assert_allclose(found[0], np.array([4 / deviation, 0.1 / floor]) / np.sqrt(2))


def test_one_look_sees_what_many_see(artifacts, colour_eyes):
    pairs = PairSet(artifacts / "pairs/semi")
    one, many = (see(pairs, [7, 2, 11, 0], colour_eyes, batch_size=n) for n in (4, 1))
    np.testing.assert_allclose(one.pooled, many.pooled)
    np.testing.assert_allclose(one.pooled, colours(pairs, [7, 2, 11, 0]), rtol=1e-5)
    assert one.apart == pytest.approx(many.apart)
    assert see(pairs, [3, 3], colour_eyes, batch_size=2).apart == pytest.approx(0, abs=1e-9)
    assert see(pairs, [3], colour_eyes, batch_size=2).apart is None


def test_alignment_by_class_and_the_absent_ones(score, artifacts):
    one_class = Judge(lambda images: np.zeros(images.shape[:3], np.uint8), "")
    scored = score("semi", [0, 3, 5], judge=one_class)
    found = METRICS["alignment"].compute(scored)
    labels = np.stack([pair.label for pair in scored.pairs.pairs(scored.rows)])
    road = (labels == 0).sum() / (labels != 3).sum()
    assert found.value == pytest.approx(100 * road / 3)
    assert found.classes["sky"] == 0 and found.facts["absent"] == []
    matrix = labelled(scored.pairs, scored.rows, one_class.predict, batch_size=2)
    assert matrix.sum() == labels.size and matrix[:, 1:].sum() == 0


def test_yardsticks_are_what_as_many_real_pairs_score(reference):
    found = {entry["metric"]: entry["value"] for entry in yardsticks(METRICS, reference, 3)}
    train, val = reference.train, reference.val
    assert found["alignment"] == 61.5
    scaled = [in_deviations(it.seen.pooled, train.seen.pooled) for it in (train, val)]
    assert found["feature_frechet"] == pytest.approx(frechet(scaled[0][[0, 2, 4]], scaled[1]))
    assert found["feature_diversity"] == 100
    assert found["fid"] == pytest.approx(frechet(train.inception[[0, 2, 4]], val.inception))
    assert found["fsd"] == pytest.approx(fsd(train.palettes[[0, 2, 4]], val.palettes))
    others = train.palettes[[4, 0, 2]]
    assert found["kl"] == pytest.approx(kl(others, train.palettes[[0, 2, 4]]).mean())
    assert found["presence"] == pytest.approx(
        np.mean(
            [
                np.abs(gap(train.palettes[mine][:3], np.delete(train.palettes, mine, 0))).max()
                for mine in (np.arange(0, len(train.ids), 2), np.arange(1, len(train.ids), 2))
            ]
        )
    )
    assert found["components"] > 0
    wanted = {"alignment", "feature_frechet", "feature_diversity", "fid", "fsd", "kl"}
    assert set(found) == wanted | {"presence", "components"}


def test_a_metric_of_ones_own_is_a_record(score):
    def compute(scored: Scored) -> Found:
        return Found(2.0, parts={"half": 1.0}, classes={"car": 3.0}, facts={"why": "so"})

    own = Metric("own", "own", 1, "higher", "It is two.", compute)
    values, facts = compute_all({"own": own}, score("semi", [0]))
    assert values == [
        {"metric": "own", "value": 2.0},
        {"metric": "own_half", "value": 1.0},
        {"metric": "own", "class": "car", "value": 3.0},
    ]
    assert facts == {"own": {"why": "so"}}
    assert yardsticks({"own": own}, score("semi", [0]).reference, 3) == []


def test_too_few_pairs_are_refused():
    with pytest.raises(UserError, match=r"3 synthetic pairs but report\.num_scored is 4"):
        scored_rows(range(3), 4)


def test_features_stand_in_the_order_of_the_rows(artifacts):
    pairs, rows = PairSet(artifacts / "pairs/semi"), [7, 2, 11, 0]
    found = features(pairs, rows, lambda images: images.mean(axis=(1, 2)), batch_size=3)
    np.testing.assert_allclose(found, colours(pairs, rows)[:, :3])
    assert found.dtype == np.float64


# == KL and FSD ==


def test_exact_palettes_score_zero():
    target = np.random.default_rng(0).dirichlet(np.full(35, 0.2), size=50).astype(np.float32)
    assert np.abs(kl(target, target)).max() < 1e-4


def test_kl_by_hand():
    target, obtained = np.array([[0.5, 0.5, 0.0]]), np.array([[0.75, 0.25, 0.0]])
    expected = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert kl(target, obtained)[0] == pytest.approx(expected, abs=1e-5)


def test_a_class_that_is_missing_costs_a_finite_price():
    """The obtained fraction of 0 counts as 1e-6 before all are renormalised."""
    found = kl(np.array([[0.9, 0.1]]), np.array([[1.0, 0.0]]))[0]
    total = 1 + 2e-6
    expected = 0.9 * np.log(0.9 * total / (1 + 1e-6)) + 0.1 * np.log(0.1 * total / 1e-6)
    assert found == pytest.approx(expected)


def test_only_targets_of_whole_images_count(artifacts):
    sets = {n: PairSet(artifacts / "pairs" / n) for n in ("semi", "palette", "partial")}
    assert targets_and_palettes(sets["partial"], range(12)) is None
    assert targets_and_palettes(sets["semi"], range(12)) is None
    target, obtained = targets_and_palettes(sets["palette"], range(12))
    expected = [palette_of(pair.label, 4) for pair in sets["palette"].pairs()]
    np.testing.assert_allclose(obtained, expected)
    assert np.abs(kl(target, obtained)).max() < 1e-4


def test_fsd_of_a_set_with_itself_and_in_other_units():
    rng = np.random.default_rng(0)
    shares, others = (rng.dirichlet(np.full(35, 0.2), size=n) for n in (60, 40))
    assert fsd(shares, shares) < 1e-9
    assert fsd(shares, others) == pytest.approx(1e4 * frechet(shares, others))


def test_fsd_by_hand():
    """Road and sky share an image; 10 percent move from one to the other and vary twice as much."""
    moved = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 100
    real = np.stack([0.6 + moved, 0.4 - moved], axis=1)
    generated = np.stack([0.5 + 2 * moved, 0.5 - 2 * moved], axis=1)
    variance = 2.5  # of the moves in percent; one direction of two classes, so twice in the trace
    assert fsd(generated, real) == pytest.approx(2 * 10**2 + 2 * variance * (2 - 1) ** 2)


# == presence and components ==


def test_presence_by_hand():
    real = np.array([[0.5, 0.5, 0.0], [0.9, 0.0, 0.1], [1.0, 0.0, 0.0], [0.2, 0.8, 0.0]])
    made = np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0]])
    assert presence(real).tolist() == [1, 0.5, 0.25]
    assert gap(made, real).tolist() == [0, 50, -25]
    assert divergence(real, real) == 0
    p, q = np.array([4.5, 2.5, 1.5]) / 5, np.array([2.5, 2.5, 0.5]) / 3
    expected = np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    assert divergence(made, real) == pytest.approx(expected)


def test_presence_of_a_set_is_that_of_all_its_pairs(score):
    scored = score("palette", [7])
    found = METRICS["presence"].compute(scored)
    gaps = gap(scored.pairs.column("palette")[scored.every], scored.reference.train.palettes)
    assert found.value == np.abs(gaps).max() and [*found.classes.values()] == gaps.tolist()


def test_pieces_by_hand():
    label = np.zeros((4, 5), np.uint8)
    label[1:3, 3:] = 1
    label[3, 0] = 1
    found = pieces([label, np.full((4, 5), 2, np.uint8)], 3)
    assert found[:, 0].tolist() == [0, 0, 0, 1] and found[:, 1].tolist() == [0, 1, 1, 2]
    np.testing.assert_allclose(found[:, 2] * 20, [15, 4, 1, 20])
    np.testing.assert_allclose(found[:, 3] * 4, [4, 3, 4, 4])


def test_distances_of_components_by_hand():
    """Two labels of a square each; a speck hardly counts."""

    def labels(sides, bottom):
        found = np.zeros((len(sides), 32, 32), np.uint8)
        for label, side in zip(found, sides, strict=True):
            label[bottom - side : bottom, 4 : 4 + side] = 1
        return found

    real = pieces(labels([4, 4], 16), 2)
    assert distances(real, real) == {0: (0, 0), 1: (0, 0)}
    twice = distances(pieces(labels([8, 8], 16), 2), real)
    assert twice[1] == pytest.approx((2, 0)), "four times the area, the same lower edge"
    lower = distances(pieces(labels([4, 4], 24), 2), real)
    assert lower[1] == pytest.approx((0, 25))
    specked = labels([4, 4], 16)
    specked[:, 30, 30] = 1
    assert distances(pieces(specked, 2), real)[1][0] == pytest.approx(4 / 17)
    assert set(distances(pieces(labels([4, 0], 16), 2), real)) == {0}, "shown once"


def test_groups_or_halves_are_compared(reference):
    train = reference.train
    assert [rows.tolist() for rows in train.by_group()] == [[0, 2, 4], [1, 3, 5]]
    alike = replace(train, groups=("",) * len(train.ids))
    assert [rows.tolist() for rows in alike.by_group()] == [[0, 1, 2], [3, 4, 5]]
