"""Real objects put into real pairs: laws read off the training pairs, places, pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.tools import verify
from synth.layouts import transplant
from synth.layouts.common.entry import Material
from synth.layouts.common.fitting import finer
from synth.layouts.transplanting import laws
from synth.layouts.transplanting.bank import Bank
from synth.layouts.transplanting.cutting import measure
from synth.making import drawing, sets
from synth.making.sets import Artifacts, SetParams
from synth.palettes import palette
from synth.palettes.controls import Controls
from synth.stages import fit_palette, produce, train_layout, train_painter
from synth.training.method import generator
from tests.synth import small

SIZE = (48, 64)
NAMES = ("road", "sky", "car", "sign", "void")
ROAD, SKY, CAR, SIGN, VOID = range(5)
CLASSES = ClassTable(tuple(ClassInfo(name, (9, 9, 9), name != "void") for name in NAMES))
PIXELS = SIZE[0] * SIZE[1]
# Colours by class; objects differ by pair, so that each pixel tells where it came from.
COLOURS = np.array([(90, 90, 90), (150, 180, 250), (200, 40, 40), (40, 200, 40), (0, 0, 0)])


def car_area(row):
    """Pixels of a car whose last row is at a fraction of the height: the law of these scenes."""
    return PIXELS * np.exp(-8.5 + 5.0 * row)


def street(index, finer_by=1):
    """A road under a sky, cars as large as their row says, sometimes a sign in the sky."""
    height, width = SIZE[0] * finer_by, SIZE[1] * finer_by
    rng = np.random.default_rng(index)
    label = np.full((height, width), SKY, np.uint8)
    label[height // 2 :] = ROAD
    row = rng.uniform(0.65, 0.95)
    tall = round(np.sqrt(car_area(row) / 2) * finer_by)
    bottom, left = round(row * height), int(rng.integers(2, width - 2 * tall - 2))
    label[bottom - tall : bottom, left : left + 2 * tall] = CAR
    if index % 3 == 0:
        top, left = int(rng.integers(2, 8)) * finer_by, int(rng.integers(2, 55)) * finer_by
        label[top : top + 4 * finer_by, left : left + 4 * finer_by] = SIGN
    image = COLOURS[label] + rng.integers(-5, 6, 3)
    return Pair(f"street-{index}", image.clip(0, 255).astype(np.uint8), label, "real")


def write(out, pairs, classes=CLASSES):
    size = pairs[0].label.shape
    with ShardWriter(out, classes=classes, size=size, fingerprint="f") as writer:
        for pair in pairs:
            writer.write(pair)
    return PairSet(out)


def config(**changes):
    return small.config("transplant", **{"min_pixels": 4, "largest": 0.2} | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Real pairs, finer ones, palettes, and the artifacts of what is fitted or painted."""
    root = tmp_path_factory.mktemp("transplant")
    real = write(root / "train", [street(index) for index in range(24)])
    write(root / "detail", [street(index, finer_by=2) for index in range(24)])
    model, _ = palette.fit(
        real.column("palette"),
        min_components=1,
        max_components=1,
        covariance_floor=1e-3,
        projection="simplex",
        min_share=0.0,
        seed=0,
    )
    model.save(root / "palette", {})
    torch.manual_seed(0)
    small.write_artifact(root / "none", "none", CLASSES, SIZE)
    small.write_artifact(root / "oasis", "oasis", CLASSES, SIZE, num_doublings=3)
    small.write_artifact(root / "real", "real", CLASSES, SIZE)
    numbers = {"min_pixels": 4, "largest": 0.2}
    small.write_artifact(
        root / "transplant", "transplant", CLASSES, SIZE, train=root / "train", **numbers
    )
    return root


@pytest.fixture(scope="module")
def real(folder):
    return PairSet(folder / "train")


def fitted(real, detail=None, **changes):
    numbers = config(**changes)
    bank = transplant.fit(numbers, Material(real, detail or real, flip=True))
    return transplant.load(numbers, bank.tensors())


def compose(method, real, indices, asked=None, seed=0):
    """Draw the pairs of some indices, one batch; parents are their rows."""
    rows = [index % len(real) for index in indices]
    shares = real.column("palette")[rows] if asked is None else asked
    return method.compose(
        palette=torch.as_tensor(np.asarray(shares, np.float32)),
        label=torch.from_numpy(real.labels(rows)).long(),
        image=torch.from_numpy(real.images(rows)).permute(0, 3, 1, 2),
        rows=rows,
        rngs=[generator(seed, index) for index in indices],
    )


def wanted(real, rows, **more):
    """Real palettes with more of some classes, taken from the road."""
    shares = real.column("palette")[rows].copy()
    for name, share in more.items():
        shares[:, NAMES.index(name)] += share
        shares[:, ROAD] -= share
    return shares


# == laws ==


def test_the_size_of_a_class_follows_the_row_as_in_the_training_pairs(real):
    law = fitted(real).bank.laws
    intercept, slope, spread = law.size[CAR]
    assert law.follows[CAR] and slope == pytest.approx(5.0, rel=0.15)
    assert intercept + slope * 0.8 == pytest.approx(-8.5 + 5 * 0.8, abs=0.1)
    assert spread < 0.2


def test_cars_and_signs_are_objects_and_what_reaches_the_border_is_not(real):
    law = fitted(real).bank.laws
    assert [NAMES[kind] for kind in np.flatnonzero(law.things)] == ["car", "sign"]
    assert np.flatnonzero(law.carries[CAR]).tolist() == [ROAD]
    assert np.flatnonzero(law.carries[SIGN]).tolist() == [SKY]
    ends = law.ends[CAR]
    assert ends[: SIZE[0] // 2].sum() < 0.01 and ends[int(0.65 * SIZE[0]) :].sum() > 0.9


def test_named_classes_are_objects_and_an_unknown_one_is_refused(real):
    assert np.flatnonzero(fitted(real, classes=["sign"]).bank.laws.things).tolist() == [SIGN]
    with pytest.raises(UserError, match="unknown class 'bus'"):
        fitted(real, classes=["bus"])


def test_named_classes_without_a_whole_object_are_refused_with_what_to_do(real):
    with pytest.raises(UserError, match="shows no whole object of road; name classes"):
        fitted(real, classes=["road"])


def test_where_nothing_can_be_moved_pairs_stay_as_they_are(tmp_path, caplog):
    """Masks of one region that touches every border: a run on such data goes on."""
    image = np.zeros((*SIZE, 3), np.uint8)
    label = np.zeros(SIZE, np.uint8)
    label[:, : SIZE[1] // 2] = 1
    table = ClassTable((ClassInfo("rest", (0, 0, 0)), ClassInfo("field", (0, 255, 0))))
    fields = write(tmp_path, [Pair(f"field-{i}", image, label, "real") for i in range(4)], table)
    drawn = compose(fitted(fields), fields, range(8), [(0.2, 0.8)] * 8)
    assert "no object that could be moved" in caplog.text
    assert not drawn.edited.any() and drawn.donors == ((),) * 8
    assert (drawn.label == torch.from_numpy(fields.labels([0] * 8))).all()


def leaf(index, middle=True):
    """A disc of 255 on 0, in the middle of its picture: a larger one ends lower."""
    rng = np.random.default_rng(index)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = rng.uniform(3, 9)
    center = (24, 32) if middle else (rng.uniform(12, 36), rng.uniform(12, 52))
    inside = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
    image = np.where(inside[..., None], (30, 120, 30), (230, 230, 230)).astype(np.uint8)
    return Pair(f"leaf-{index}", image, inside.astype(np.uint8), "real")


@pytest.mark.parametrize("middle", [True, False])
def test_without_a_horizon_objects_may_end_in_any_row(tmp_path, middle):
    table = ClassTable((ClassInfo("rest", (0, 0, 0)), ClassInfo("leaf", (0, 255, 0))))
    leaves = write(tmp_path, [leaf(index, middle) for index in range(30)], table)
    method = fitted(leaves)
    law = method.bank.laws
    assert np.flatnonzero(law.things).tolist() == [1] and not law.follows.any()
    assert law.size[1, 1] == 0 and np.ptp(law.ends[1]) == 0
    drawn = compose(method, leaves, range(60), [(0.5, 0.5)] * 60)
    rows = torch.nonzero(drawn.edited.any(2))[:, 1]
    assert rows.min() < 4 and rows.max() > 43
    assert (drawn.label == 1).sum() > 1.2 * (leaves.labels(range(30)) == 1).sum() * 2


def test_a_part_of_an_object_is_no_object(tmp_path):
    """What a nearer one hides is far too small for its row, or has it at its edge."""
    pairs = [street(index) for index in range(24)]
    for pair in pairs[:2]:
        pair.label[39:41, 1:4] = CAR  # as large as far away
    method = fitted(write(tmp_path / "parts", pairs))
    areas = method.bank.area[method.bank.kind == CAR] * PIXELS
    assert areas.min() > 9
    hidden = [street(index) for index in range(24)]
    for pair in hidden[:8]:
        car = np.argwhere(pair.label == CAR)
        (top, left), (bottom, right) = car.min(0), car.max(0)
        pair.label[top : bottom + 1, left - 1 : (left + right) // 2] = SIGN
    measured = measure(write(tmp_path / "hidden", hidden), 4 / PIXELS)
    clear = laws.unhidden(measured, np.array([False, False, True, True, False]))
    cut = (measured.kind == CAR) & (measured.row < 8)
    assert cut.any() and not clear[cut].any()
    assert clear[(measured.kind == CAR) & (measured.row >= 8)].all()


def test_what_lies_in_another_object_moves_with_it_and_stays_in_it_alone(tmp_path):
    """A cell brings its nucleus along, and a nucleus is put into cells and nowhere else."""
    names = ("rest", "cell", "nucleus")
    table = ClassTable(tuple(ClassInfo(name, (9, 9, 9)) for name in names))
    pairs = []
    for index in range(20):
        rng = np.random.default_rng(index)
        label = np.zeros(SIZE, np.uint8)
        top, left = int(rng.integers(2, 20)), int(rng.integers(2, 40))
        label[top : top + 16, left : left + 16] = 1
        label[top + 3 : top + 7, left + 3 : left + 7] = 2
        image = np.repeat((label * 100)[..., None], 3, 2)
        pairs.append(Pair(f"cell-{index}", image, label, "real"))
    cells = write(tmp_path, pairs, table)
    method = fitted(cells, num_objects=[1, 2], scale=[1.0, 1.0])
    drawn = compose(method, cells, range(40), [(0.6, 0.37, 0.03)] * 40)
    bank = method.bank
    assert bank.mixed[bank.kind == 1].all() and not bank.mixed[bank.kind == 2].any()
    added = (drawn.label == 2).sum() / (torch.from_numpy(cells.labels(range(20))) == 2).sum() / 2
    assert added > 1.3
    for label in drawn.label.numpy():
        for row, column in np.argwhere(label == 2):
            near = label[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            assert (near > 0).mean() >= 0.6


# == drawing ==


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


# == production ==

PLAIN = SetParams(layouts="transplant", painter="none", num_pairs=6, keep=True)


def load(folder, row=PLAIN):
    where = Artifacts(folder / "palette", folder / row.layouts, folder / row.painter)
    return sets.load("set", row, PairSet(folder / "train"), where, device=torch.device("cpu"))


def test_pairs_name_parent_donors_and_what_was_edited(folder, real):
    pairs = small.make_pairs(load(folder), range(8), seed=3)
    known = {pair.id: pair for pair in real.pairs()}
    for pair in pairs:
        parent = known[pair.parent]
        assert pair.donors is not None and pair.parent not in pair.donors
        assert set(pair.donors) <= set(known) and len(set(pair.donors)) == len(pair.donors)
        assert (pair.image[~pair.edited] == parent.image[~pair.edited]).all()
        assert (pair.label[~pair.edited] == parent.label[~pair.edited]).all()
        assert pair.target is not None and pair.style is None
    assert any(pair.donors for pair in pairs)
    alone = small.make_pairs(load(folder), [5], seed=3)[0]
    assert (alone.image == pairs[5].image).all() and alone.donors == pairs[5].donors


def test_controls_reach_the_objects(folder):
    row = PLAIN.model_copy(update={"controls": Controls(at_least={"sign": 0.06})})
    plain, more = (small.make_pairs(load(folder, r), range(24), seed=3) for r in (PLAIN, row))
    shares = [np.mean([(pair.label == SIGN).mean() for pair in made]) for made in (plain, more)]
    assert shares[1] > 1.5 * shares[0]
    assert min(pair.target[SIGN] for pair in more) >= 0.06 - 1e-6


def test_a_painter_paints_all_or_the_objects_or_all_but_the_objects(folder, real):
    row = PLAIN.model_copy(update={"painter": "oasis"})
    made = {
        keep: small.make_pairs(load(folder, row.model_copy(update={"keep": keep})), range(8), 3)
        for keep in (False, True, "donors")
    }
    plain = small.make_pairs(load(folder), range(8), seed=3)
    known = {pair.id: pair for pair in real.pairs()}
    alphas = drawing_alpha(folder, range(8))
    for slot, pair in enumerate(plain):
        painted, inside, kept = (made[keep][slot] for keep in (False, True, "donors"))
        assert all((pair.label == other.label).all() for other in (painted, inside, kept))
        edited, parent = pair.edited, known[pair.parent]
        assert (inside.image[~edited] == parent.image[~edited]).all()
        assert (inside.image[edited] == painted.image[edited]).all()
        own = alphas[slot] == 1
        assert (np.abs(kept.image[own].astype(int) - pair.image[own]) <= 1).all()
        assert (np.abs(kept.image[~edited].astype(int) - painted.image[~edited]) <= 1).all()
        assert kept.donors == pair.donors
    assert np.mean([(alpha == 1).any() for alpha in alphas]) > 0.5


def drawing_alpha(folder, indices):
    ready = load(folder)
    rows = [drawing.parent_row(3, index, len(ready.real_ids)) for index in indices]
    asked = np.stack([drawing.draw_palette(ready, index, 3) for index in indices])
    drawn = ready.layout_method.compose(
        palette=torch.from_numpy(asked),
        label=ready.real_labels[rows].long(),
        image=torch.from_numpy(ready.real.images(rows)).permute(0, 3, 1, 2),
        rows=rows,
        rngs=[generator(3, drawing.LAYOUT, index) for index in indices],
    )
    return drawn.alpha.numpy()


def test_objects_lie_over_a_painted_image_as_they_lay_over_their_parent():
    rng = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.rand(shape, generator=rng)

    parent, other, one, two = (random(1, 3, 8, 8) * 255 for _ in range(4))
    a, b = random(1, 8, 8), random(1, 8, 8)

    def laid(behind):
        first = behind * (1 - a[:, None]) + one * a[:, None]
        return first * (1 - b[:, None]) + two * b[:, None]

    alpha = 1 - (1 - a) * (1 - b)
    made = drawing.overlay(
        laid(parent).round().byte(), parent.round().byte(), other.round().byte(), alpha
    )
    torch.testing.assert_close(made.float(), laid(other), atol=2.0, rtol=0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"keep": False}, "painter 'none', so that all pixels but .*; write `keep: true`"),
        ({"keep": "donors"}, "painter 'none', so that all pixels but .*; write `keep: true`"),
        ({"layouts": "real"}, "layouts 'real' draw no images; name a painter, or use transplant"),
        (
            {"layouts": "real", "painter": "oasis", "keep": "donors"},
            "layouts 'real' put none into real pairs; use transplant",
        ),
        (
            {"layouts": "real", "painter": "oasis"},
            "not edits of real ones; use partial_palette, transplant or remove `keep`",
        ),
    ],
)
def test_sets_whose_pixels_come_from_nowhere_are_refused(folder, row, message):
    with pytest.raises(UserError, match=message):
        load(folder, PLAIN.model_copy(update=row))


def test_objects_of_another_set_are_refused(folder, tmp_path):
    write(tmp_path / "train", [street(index) for index in range(5)])
    where = Artifacts(folder / "palette", folder / "transplant", folder / "none")
    with pytest.raises(UserError, match="fitted on 24 pairs, the real set has 5; fit it on this"):
        sets.load("set", PLAIN, PairSet(tmp_path / "train"), where, device=torch.device("cpu"))


def test_the_stages_fit_make_and_verify(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    numbers = small.numbers("transplant", min_pixels=4, largest=0.2)
    small.write_params(
        tmp_path,
        layouts={"transplant": numbers},
        painters={"none": {}},
        sets={"moved": PLAIN.model_dump(mode="json", include=set(PLAIN.model_fields_set))},
        produce={"batch_size": 4, "seed": 0, "repaint": {"num_layouts": 2, "num_images": 2}},
    )
    train, detail = folder / "train", folder / "detail"
    fit_palette.main(train=train, out=tmp_path / "palette")
    for out in ("once", "again"):
        train_layout.main(
            method="transplant",
            train=train,
            detail=detail,
            palette=tmp_path / "palette",
            out=tmp_path / out,
        )
    files = [sorted(path.name for path in (tmp_path / out).iterdir()) for out in ("once", "again")]
    assert files == [["bank.safetensors", "method.json"]] * 2
    for name in files[0]:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    train_painter.main(method="none", train=train, out=tmp_path / "none")
    produce.main(
        set="moved",
        train=train,
        palette=tmp_path / "palette",
        layout=tmp_path / "once",
        painter=tmp_path / "none",
        out=tmp_path / "moved",
        repainted=tmp_path / "few/moved",
    )
    made = PairSet(tmp_path / "moved")
    assert made.origin["moved"] == {"layouts": "transplant", "painter": "none", "keep": "true"}
    assert list(verify.faults(tmp_path / "moved")) == []
    assert any(made.column("donors"))


def test_a_bank_is_read_as_it_was_written(real):
    bank = fitted(real).bank
    again = Bank.of(bank.tensors())
    assert again.num_pairs == 24 and again.size == SIZE and len(again) == len(bank)
    assert np.array_equal(again.pixels, bank.pixels)
    assert np.array_equal(again.laws.ends, bank.laws.ends)
