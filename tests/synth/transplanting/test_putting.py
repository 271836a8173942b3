"""Objects that are put into a real pair: which, where, how large, with which pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.pair import palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from synth.layouts import transplant
from synth.layouts.common.entry import Material
from synth.layouts.common.fitting import finer
from tests.synth.transplanting.helpers import (
    CAR,
    CLASSES,
    NAMES,
    SIGN,
    SIZE,
    car_area,
    compose,
    config,
    fitted,
    street,
    wanted,
    write,
)


def test_only_edited_pixels_differ_and_new_labels_are_objects_on_what_carries_them(real):
    method, rows = fitted(real), list(range(24))
    drawn = compose(method, real, rows, wanted(real, rows, car=0.05, sign=0.02))
    before, after = real.labels(rows), drawn.label.numpy()
    image = drawn.image.permute(0, 2, 3, 1).numpy()
    edited = drawn.edited.numpy()
    assert (image[~edited] == real.images(rows)[~edited]).all()
    changed = before != after
    assert changed.any() and not (changed & ~edited).any()
    assert set(np.unique(after[changed])) == {CAR, SIGN}
    assert np.array_equal(edited, drawn.alpha.numpy() > 0) and drawn.alpha.max() <= 1
    new_cars = changed & (after == CAR)
    assert new_cars[:, SIZE[0] // 2 + 8 :].sum() > 0.9 * new_cars.sum(), "cars stand on the road"
    assert not new_cars[:, : SIZE[0] // 4].any()
    assert not (changed & (after == SIGN))[:, SIZE[0] // 2 + 2 :].any(), "signs hang in the sky"
    soft = (drawn.alpha > 0.02) & (drawn.alpha < 0.98)
    assert soft.any() and soft.sum() < 0.5 * edited.sum()


def test_a_new_object_is_as_large_as_its_row_says(real):
    method, rows = fitted(real, num_objects=[1, 1], classes=["car"]), list(range(24)) * 4
    drawn = compose(method, real, range(96), wanted(real, rows, car=0.1))
    for alpha in drawn.alpha.numpy():
        where = np.argwhere(alpha >= 0.5)
        if where[:, 1].min(initial=9) > 0 and where[:, 1].max(initial=0) < SIZE[1] - 1:
            bottom = (where[:, 0].max() + 1) / SIZE[0]
            assert np.log(len(where) / car_area(bottom)) == pytest.approx(0, abs=0.8)


def test_donors_are_other_pairs_and_their_pixels_are_there(real):
    drawn = compose(fitted(real, brightness=0.0), real, range(24), wanted(real, range(24), car=0.1))
    colours = {row: real.images([row])[0][real.labels([row])[0] == CAR][0] for row in range(24)}
    for row, donors in enumerate(drawn.donors):
        assert donors and row not in donors
        own = (drawn.alpha[row] == 1).numpy() & (drawn.label[row] == CAR).numpy()
        shown = drawn.image[row].permute(1, 2, 0).numpy()[own].astype(int)
        nearest = np.abs(shown[:, None] - np.array([colours[d] for d in donors], int)).max(2).min(1)
        assert (nearest <= 1).all()


def test_a_draw_depends_on_its_index_and_on_nothing_else(real):
    method, asked = fitted(real), wanted(real, range(24), car=0.05, sign=0.02)
    whole = compose(method, real, range(24), asked)
    for few in ([5], [20, 5, 7]):
        part = compose(fitted(real), real, few, asked[few])
        for slot, index in enumerate(few):
            assert torch.equal(part.image[slot], whole.image[index])
            assert torch.equal(part.label[slot], whole.label[index])
            assert part.donors[slot] == whole.donors[index]
    other = compose(method, real, range(24), asked, seed=1)
    assert not torch.equal(other.image, whole.image)


def test_guided_by_palettes_a_pair_gets_what_it_lacks(real):
    method, rows = fitted(real), list(range(24))
    have = real.column("palette")[rows]
    for name, kind in (("sign", SIGN), ("car", CAR)):
        drawn = compose(method, real, rows, wanted(real, rows, **{name: 0.04}))
        made = palette_of(drawn.label.numpy().astype(np.uint8), len(NAMES))
        more = (made - have).mean(0)
        assert more[kind] > 0.01 and more[kind] == more.max()
        target = drawn.target.numpy()
        np.testing.assert_allclose(target.sum(1), 1, atol=1e-5)
        np.testing.assert_allclose(target[:, kind], have[:, kind] + 0.04, atol=1e-5)
        assert (made[:, kind] < target[:, kind] + 0.04).all()


def test_at_random_nothing_is_asked_for_and_classes_come_as_often_as_there_are_objects(real):
    rows = list(range(24)) * 8
    method = fitted(real, guided=False, num_objects=[1, 1])
    drawn = compose(method, real, range(192), wanted(real, rows, sign=0.04))
    assert drawn.target is None
    new = (drawn.label.numpy() != real.labels(rows)) * (drawn.label.numpy() + 1)
    kinds = [int(item.max()) - 1 for item in new if item.any()]
    share = kinds.count(SIGN) / len(kinds)
    assert share == pytest.approx(8 / 32, abs=0.12)


def test_anywhere_ignores_rows_and_what_carries(real):
    rows = list(range(24)) * 4
    method = fitted(real, placing="anywhere", classes=["car"], num_objects=[1, 1])
    drawn = compose(method, real, range(96), wanted(real, rows, car=0.1))
    changed = (drawn.label.numpy() != real.labels(rows)) & (drawn.label.numpy() == CAR)
    assert changed[:, : SIZE[0] // 2 - 4].sum() > 0.2 * changed.sum()


def test_brightness_follows_the_new_surroundings_as_far_as_asked(tmp_path):
    def lit(index):
        pair, by = street(index), 1.0 if index % 2 else 0.4
        return replace(pair, image=(pair.image * by).astype(np.uint8))

    pairs = write(tmp_path, [lit(index) for index in range(24)])
    away = []
    for brightness in (0.0, 0.5, 1.0):
        method = fitted(pairs, brightness=brightness, num_objects=[1, 1], classes=["car"])
        drawn = compose(method, pairs, range(24), wanted(pairs, range(24), car=0.1))
        dark = [
            drawn.image[row, 0][drawn.alpha[row] == 1].float().mean().item()
            for row in range(0, 24, 2)
            if drawn.donors[row] and drawn.donors[row][0] % 2 and (drawn.alpha[row] == 1).any()
        ]
        away.append(np.mean(dark) / 200)
    assert away[0] == pytest.approx(1, abs=0.05)
    assert away[2] == pytest.approx(0.4, abs=0.15) and away[2] < away[1] - 0.1 < away[0] - 0.2


def test_objects_are_not_mirrored_where_pairs_are_not_or_where_that_is_another_class(real):
    numbers = config()
    still = transplant.fit(numbers, Material(real, real, flip=False))
    assert not still.mirrors.any()
    assert fitted(real).bank.mirrors.all()


def test_objects_are_cut_from_finer_pairs_where_there_are_some(folder, real):
    detail = PairSet(folder / "detail")
    plain, fine = fitted(real).bank, fitted(real, detail).bank
    assert fine.size == (96, 128) and plain.size == SIZE
    assert fine.height.mean() - 2 == pytest.approx(2 * (plain.height.mean() - 2), rel=0.1)
    sizes = [bank.laws.size[CAR, :2] @ (1, 0.8) for bank in (fine, plain)]
    assert sizes[0] == pytest.approx(sizes[1], abs=0.15)
    drawn = compose(fitted(real, detail), real, range(24), wanted(real, range(24), car=0.1))
    new = (drawn.label.numpy() == CAR).sum() - (real.labels(range(24)) == CAR).sum()
    coarse = compose(fitted(real), real, range(24), wanted(real, range(24), car=0.1))
    old = (coarse.label.numpy() == CAR).sum() - (real.labels(range(24)) == CAR).sum()
    assert new == pytest.approx(old, rel=0.4), "an object is as large, whatever it was cut from"


def test_other_pairs_in_more_detail_are_refused(folder, real, tmp_path):
    write(tmp_path / "few", [street(index, 2) for index in range(3)])
    with pytest.raises(UserError, match=r"has other pairs than .*; run ingest again"):
        finer(real, tmp_path / "few")
    with ShardWriter(tmp_path / "no", classes=CLASSES, size=SIZE, fingerprint="f"):
        pass
    assert finer(real, tmp_path / "no") is real and finer(real, None) is real


@pytest.mark.parametrize("wrong", [{"scale": [2.0, 1.0]}, {"num_objects": [0, 3]}, {"whole": 0}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValidationError):
        config(**wrong)
