"""Rare pairs are shown as often as their law says, in streams that can be resumed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde

from data.pairs.batches import Stream, load_stream
from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.sampling import (
    CLIPPED,
    COLOUR_FLOOR,
    FEWEST,
    MOST,
    Shown,
    chances,
    epoch,
    mean_colours,
    rarities,
)
from data.pairs.shards import PairSet, ShardWriter

LIKELY = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05, 0.0, 0.0])


def counted(order):
    return np.bincount(order, minlength=len(LIKELY))


def pairs(count=40, rare_at=(3, 17), seed=0):
    """Sky above road; class 2 in two of the pairs, which also have a red sky."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for index in range(count):
        label = np.zeros((8, 16), np.uint8)
        label[int(rng.integers(3, 6)) :] = 1
        image = np.full((8, 16, 3), 120, np.uint8) + rng.integers(0, 9, 3).astype(np.uint8)
        if index in rare_at:
            label[0, :2] = 2
            image[label == 0] = (250, 20, 20 + index)
        images.append(image)
        labels.append(label)
    return np.stack(images), np.stack(labels)


def shown(images, labels, counted=(0, 1, 2), classes=3):
    shares = np.stack([(labels == c).mean((1, 2)) for c in range(classes)], 1)
    return Shown(shares, counted, lambda: zip(images, labels, strict=True))


def test_an_epoch_shows_each_pair_as_often_as_it_is_likely():
    for seed in range(20):
        counts = counted(epoch(np.random.default_rng(seed), 8, LIKELY))
        assert counts.sum() == 8 and (np.abs(counts - 8 * LIKELY) < 1).all()
    many = [counted(epoch(np.random.default_rng(seed), 8, LIKELY)) for seed in range(3000)]
    np.testing.assert_allclose(np.mean(many, 0), 8 * LIKELY, atol=0.03)


def test_alike_is_a_permutation_as_it_always_was():
    wanted = np.random.default_rng(5).permutation(8)
    assert np.array_equal(epoch(np.random.default_rng(5), 8, None), wanted)
    images, labels = pairs()
    assert chances("uniform", shown(images, labels)) is None


def test_an_epoch_has_no_order_of_its_own():
    order = epoch(np.random.default_rng(0), 8, LIKELY)
    assert any(
        not np.array_equal(order, epoch(np.random.default_rng(seed), 8, LIKELY))
        for seed in range(1, 4)
    )
    places = [np.flatnonzero(epoch(np.random.default_rng(s), 8, LIKELY) == 0) for s in range(500)]
    assert np.mean(np.concatenate(places)) == pytest.approx(3.5, abs=0.2), "anywhere in it"


def test_pairs_with_a_rare_class_are_drawn_by_the_root_of_its_frequency():
    images, labels = pairs()
    found = np.asarray(chances("rare_classes", shown(images, labels)))
    assert found.sum() == pytest.approx(1)
    shares = shown(images, labels).palettes
    weights = shares.mean(0) ** -0.5
    weights /= weights.sum()
    rest = (weights[0] + weights[1]) / 40
    assert found[3] == pytest.approx(rest + weights[2] / 2)
    assert found[0] == pytest.approx(rest)
    ignored = np.asarray(chances("rare_classes", shown(images, labels, counted=(0, 1))))
    np.testing.assert_allclose(ignored, 1 / 40), "void is not rare"


def test_pairs_with_a_rare_colour_are_drawn_more_and_by_each_class_alike():
    images, labels = pairs(rare_at=(3,))
    found = np.asarray(chances("rare_looks", shown(images, labels)))
    colours = mean_colours(zip(images, labels, strict=True), 3)
    rarity = rarities(colours)
    assert rarity[3, 0] == np.nanmax(rarity[:, 0]) and np.isnan(rarity[:, 2]).all(), "too few"
    halves = [rarity[:, c] / rarity[:, c].sum() for c in (0, 1)]
    np.testing.assert_allclose(found, np.mean(halves, 0))
    assert found[3] > 2 / 40


def test_colours_are_means_over_a_class():
    images, labels = pairs()
    found = mean_colours(zip(images, labels, strict=True), 4)
    assert found.shape == (40, 4, 3) and np.isnan(found[:, 3]).all()
    np.testing.assert_allclose(found[3, 2], images[3][labels[3] == 2].mean(0))
    labels[0, 0, 0] = 255  # ignored
    again = mean_colours(zip(images, labels, strict=True), 4)[0, 0]
    np.testing.assert_allclose(again, images[0][labels[0] == 0].mean(0))


def test_rarity_is_one_over_the_density_in_the_other_images():
    """The density of scipy, without the kernel of the image itself, in terms of the median."""
    points = np.random.default_rng(0).normal(100, 30, (60, 3))
    flat = np.concatenate([points, points[:1] + 900])
    colours = np.stack([flat, np.full_like(flat, np.nan)], 1)
    colours[:3, 1] = 0.0
    found = rarities(colours)
    assert np.isnan(found[:, 1]).all(), f"fewer than {FEWEST}"
    kde = gaussian_kde(flat.T)
    own = 1 / np.sqrt(np.linalg.det(2 * np.pi * kde.covariance))
    density = (kde(flat.T) * len(flat) - own) / (len(flat) - 1)
    wanted = 1 / np.maximum(density, 1e-300)
    wanted = np.minimum(wanted, np.quantile(wanted, CLIPPED, method="lower")) / np.median(wanted)
    np.testing.assert_allclose(found[:, 0], np.minimum(wanted, MOST), rtol=0.1)
    assert found[60, 0] == np.nanmax(found) <= MOST
    assert COLOUR_FLOOR < 5, "small beside the deviation of these colours"


def test_flat_colours_have_a_density():
    found = rarities(np.full((20, 1, 3), 77.0))
    np.testing.assert_allclose(found, 1.0)


def test_too_few_looks_show_pairs_alike(caplog):
    images, labels = pairs(count=FEWEST - 1, rare_at=())
    assert chances("rare_looks", shown(images, labels)) is None
    assert f"no class with {FEWEST} looks" in caplog.text


def test_a_stream_of_rare_pairs_is_a_function_of_the_position():
    labels = torch.arange(8, dtype=torch.uint8)[:, None, None].expand(8, 2, 2)
    images = torch.zeros(8, 3, 2, 2, dtype=torch.uint8)
    about = {"seed": 3, "flip": True, "mirrored": range(255), "probabilities": LIKELY.tolist()}
    stream = Stream(images, labels, **about)
    shown = torch.cat([stream.batch(position, 4).row for position in range(0, 80, 4)])
    for first in range(0, 80, 8):
        assert (np.abs(counted(shown[first : first + 8].numpy()) - 8 * LIKELY) < 1).all()
    resumed = Stream(images, labels, **about)
    assert torch.equal(resumed.batch(52, 4).row, shown[52:56])
    assert torch.equal(resumed.places(20, 60), shown[20:80])


@pytest.mark.parametrize("sampling", ["uniform", "rare_classes", "rare_looks"])
def test_a_set_is_streamed_by_its_law(sampling, tmp_path: Path):
    images, labels = pairs()
    table = ClassTable(
        (ClassInfo("sky", (1, 1, 1)), ClassInfo("road", (2, 2, 2)), ClassInfo("car", (3, 3, 3)))
    )
    with ShardWriter(tmp_path / "s", classes=table, size=(8, 16), fingerprint="f") as writer:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.write(Pair(f"p{index}", image, label, "real"))
    stream = load_stream(PairSet(tmp_path / "s"), seed=0, flip=False, sampling=sampling)
    shown = np.bincount(stream.places(0, 40 * 20).numpy(), minlength=40)
    if sampling == "uniform":
        assert (shown == 20).all()
    else:
        assert shown[[3, 17]].min() > 2 * np.delete(shown, [3, 17]).max()
