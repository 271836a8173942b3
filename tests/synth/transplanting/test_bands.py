"""Bands of other real pairs put into real ones, by the palette and by what is beside them."""

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools import verify
from synth.layouts.common.edits import Bands, Edits
from synth.layouts.transplanting.bands import Band, find
from synth.stages import produce
from tests.synth import small
from tests.synth.transplanting.helpers import CAR, NAMES, PIXELS, ROAD, SIGN, SIZE, SKY, wanted
from tests.synth.transplanting.test_sets import PLAIN, load

BANDED = PLAIN.model_copy(update={"edits": Edits(bands=(0.25, 0.5))})
ALL = np.ones(len(NAMES), bool)


def found(labels, palette, *, parent=0, lengths=(0.25, 0.5), mirrors=ALL, tries=40):
    """Bands found by as many dice, and the layouts with them in place."""
    bands = Bands(lengths, labels, lambda rows: labels[rows])
    made = []
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        band = find(bands, labels[parent], palette, parent=parent, mirrors=mirrors, rng=rng)
        assert band is not None
        layout = labels[parent].copy()
        layout[:, band.left : band.right] = band.of(labels[band.row])
        made.append((band, layout))
    return made


def test_a_band_is_cut_where_it_says_and_mirrored_as_it_says():
    pixels = np.arange(24).reshape(2, 4, 3)
    band = Band(row=0, start=1, left=5, right=7, mirrored=False)
    np.testing.assert_array_equal(band.of(pixels), pixels[:, 1:3])
    mirrored = Band(row=0, start=1, left=5, right=7, mirrored=True)
    np.testing.assert_array_equal(mirrored.of(pixels), pixels[:, [2, 1]])


def test_bands_are_of_other_pairs_inside_the_image_and_as_wide_as_asked(real):
    labels = real.labels(range(len(real)))
    for parent in (0, 5):
        for band, _ in found(labels, real.column("palette")[parent], parent=parent):
            width = band.right - band.left
            assert 0.25 * SIZE[1] - 1 <= width <= 0.5 * SIZE[1] + 1
            assert band.row != parent and band.left >= 0 and band.right <= SIZE[1]
            assert 0 <= band.start <= SIZE[1] - width
    everywhere = found(labels, real.column("palette")[0], lengths=(1.0, 1.0))
    assert all((band.left, band.right) == (0, SIZE[1]) for band, _ in everywhere)


def test_a_palette_chooses_among_the_bands(real):
    labels = real.labels(range(len(real)))
    shares = []
    for asked in (real.column("palette")[1], wanted(real, [1], sign=0.1)[0]):
        made = found(labels, asked, parent=1)
        shares.append(np.mean([(layout == SIGN).mean() for _, layout in made]))
    assert shares[1] > 2 * shares[0]


def test_bands_agree_with_what_is_beside_them():
    """Half of the others have another horizon: their bands are not taken."""
    labels = np.full((9, *SIZE), SKY, np.uint8)
    for row, label in enumerate(labels):
        label[SIZE[0] // 2 if row % 2 == 0 else SIZE[0] // 6 :] = ROAD
    palette = np.bincount(labels[0].ravel(), minlength=len(NAMES)) / PIXELS
    rows = [band.row for band, _ in found(labels, palette)]
    assert np.mean([row % 2 == 0 for row in rows]) == 1
    # nearer to a palette, and yet not taken
    palette = np.bincount(labels[1].ravel(), minlength=len(NAMES)) / PIXELS
    rows = [band.row for band, _ in found(labels, palette)]
    assert np.mean([row % 2 == 0 for row in rows]) > 0.9


def test_classes_that_know_left_from_right_are_not_mirrored(real):
    labels, palette = real.labels(range(len(real))), real.column("palette")[0]
    mirrors = ALL & (np.arange(len(NAMES)) != CAR)
    bands = [band for band, _ in found(labels, palette, mirrors=mirrors)]
    assert all(not band.mirrored for band in bands if (band.of(labels[band.row]) == CAR).any())
    assert any(band.mirrored for band in bands)
    assert not any(band.mirrored for band, _ in found(labels, palette, mirrors=~ALL))


def test_one_pair_alone_has_no_bands(real):
    bands = Bands((0.3, 0.3), real.labels([0]), real.images)
    rng = np.random.default_rng(0)
    palette = real.column("palette")[0]
    assert find(bands, real.labels([0])[0], palette, parent=0, mirrors=ALL, rng=rng) is None


def test_pairs_have_the_pixels_of_one_band_and_name_its_pair(folder, real):
    pairs = small.make_pairs(load(folder, BANDED), range(12), seed=3)
    known = {pair.id: pair for pair in real.pairs()}
    for pair in pairs:
        parent = known[pair.parent]
        assert (pair.image[~pair.edited] == parent.image[~pair.edited]).all()
        assert (pair.label[~pair.edited] == parent.label[~pair.edited]).all()
        columns = np.flatnonzero(pair.edited.all(0))
        assert 0.25 * SIZE[1] - 1 <= len(columns) <= 0.5 * SIZE[1] + 1
        assert pair.donors and pair.parent not in pair.donors[:1]
        lender = known[pair.donors[0]]
        colours = {tuple(colour) for colour in lender.image.reshape(-1, 3)}
        middle = pair.image[:, columns].reshape(-1, 3)
        assert np.mean([tuple(colour) in colours for colour in middle]) > 0.6
    alone = small.make_pairs(load(folder, BANDED), [5], seed=3)[0]
    assert (alone.image == pairs[5].image).all() and alone.donors == pairs[5].donors


def test_a_band_is_painted_and_only_objects_keep_their_pixels(folder):
    row = BANDED.model_copy(update={"painter": "oasis"})
    painted, kept = (
        small.make_pairs(load(folder, row.model_copy(update={"keep": keep})), range(8), 3)
        for keep in (False, "donors")
    )
    alike = []
    for one, other in zip(painted, kept, strict=True):
        assert (one.label == other.label).all()
        inside = one.edited.all(0)
        alike.append(
            (np.abs(one.image[:, inside].astype(int) - other.image[:, inside]) <= 1).mean()
        )
    assert np.mean(alike) > 0.8


def test_what_bands_are_not_is_refused(folder):
    for edits in (
        Edits(boxes=(0.2, 0.4)),
        Edits(bands=(0.2, 0.4), boxes=(0.2, 0.4)),
        Edits(bands=(0.2, 0.4), like="removed"),
        Edits(add={"sign": 0.2}),
    ):
        with pytest.raises(
            UserError, match=r"take only bands, of other real pairs; write edits: \{b"
        ):
            load(folder, PLAIN.model_copy(update={"edits": edits}))


def test_bands_change_every_layout_and_no_parent(folder):
    plain, banded = (small.make_pairs(load(folder, r), range(6), 3) for r in (PLAIN, BANDED))
    assert [pair.parent for pair in plain] == [pair.parent for pair in banded]
    assert not any(
        (one.label == other.label).all() for one, other in zip(plain, banded, strict=True)
    )


def test_a_set_of_bands_passes_verification(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    small.write_params(
        tmp_path,
        layouts={"transplant": small.numbers("transplant", min_pixels=4, largest=0.2)},
        painters={"none": {}},
        sets={"banded": BANDED.model_dump(mode="json", include=set(BANDED.model_fields_set))},
        produce={"batch_size": 4, "seed": 0, "repaint": {"num_layouts": 2, "num_images": 2}},
    )
    produce.main(
        set="banded",
        train=folder / "train",
        palette=folder / "palette",
        layout=folder / "transplant",
        painter=folder / "none",
        out=tmp_path / "pairs",
        repainted=tmp_path / "repainted",
    )
    assert PairSet(tmp_path / "pairs").origin["banded"]["edits"] == "bands of 25 to 50 %"
    assert list(verify.faults(tmp_path / "pairs")) == []
