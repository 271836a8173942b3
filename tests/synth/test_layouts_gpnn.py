"""Layouts of patches of real ones: grids, matching, plans, what is lost, the method."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import label as connected

from data.pairs.classes import IGNORE, ClassInfo, ClassTable
from data.pairs.components import components
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from synth.layouts import LAYOUTS
from synth.layouts.common.entry import Material
from synth.layouts.patching import plan
from synth.layouts.patching.completing import complete
from synth.layouts.patching.grids import bases, described, factors, fold, grid, weights
from synth.layouts.patching.matching import coherent, doubled, exhaustive, votes
from synth.training.method import generator
from tests.synth import small

SIZE, C = (32, 64), 5
SKY, ROAD, HOUSE, CAR, SIGN = range(C)
ENTRY = LAYOUTS["gpnn"]


def street(index):
    """A house on one side, a car on the road, in every sixth street a sign."""
    rng = np.random.default_rng(index)
    label = np.full(SIZE, SKY, np.uint8)
    label[int(rng.integers(14, 20)) :] = ROAD
    left = int(rng.integers(0, 20))
    label[4:22, left : left + 24] = HOUSE
    left = int(rng.integers(0, 48))
    label[22:28, left : left + 14] = CAR
    if index % 6 == 0:
        label[6:9, 50:53] = SIGN
    return label


STREETS = np.stack([street(index) for index in range(18)])


def write(folder, labels, mirrors=None):
    classes = [ClassInfo(name, (i, i, i)) for i, name in enumerate("abcde")]
    for kind, other in (mirrors or {}).items():
        name = classes[other].name
        classes[kind] = ClassInfo(classes[kind].name, (kind,) * 3, mirror=name)
    table = ClassTable(tuple(classes))
    size = labels[0].shape
    with ShardWriter(folder, classes=table, size=size, fingerprint="f") as writer:
        for number, label in enumerate(labels):
            writer.write(Pair(f"{number}", np.zeros((*size, 3), np.uint8), label, "real"))
    return PairSet(folder)


def fitted(real, *, flip=True, **changes):
    config = small.config("gpnn", **changes)
    return ENTRY.load(config, ENTRY.fit(config, Material(real, real, flip)).tensors())


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return write(tmp_path_factory.mktemp("streets") / "train", STREETS)


def draw(method, palettes, items=None):
    items = range(len(palettes)) if items is None else items
    palette = torch.as_tensor(np.asarray(palettes), dtype=torch.float32)
    rngs = [generator(3, item) for item in items]
    return ENTRY.draw(method, None, palette=palette, real=None, rngs=rngs)


# -- grids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "grids"),
    [((64, 128), [8, 4, 2, 1]), ((96, 128), [8, 4, 2, 1]), ((33, 50), [4, 2, 1]), ((15, 40), [1])],
)
def test_grids_halve_the_size_while_they_can(size, grids):
    assert factors(size) == grids


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_cells_hold_the_shares_of_their_pixels(factor):
    labels = torch.from_numpy(STREETS[:3]).long()
    planes = F.one_hot(labels, C).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(fold(labels, C, factor), F.avg_pool2d(planes, factor))
    ragged = fold(labels[:, :, :61], C, factor)
    assert ragged.shape[2:] == grid((32, 61), factor)
    torch.testing.assert_close(ragged.sum(1), torch.ones(3, *ragged.shape[2:]))
    torch.testing.assert_close(ragged[..., :15], fold(labels, C, factor)[..., :15])


def test_distances_of_descriptions_are_those_of_patches():
    labels = torch.from_numpy(STREETS).long()
    weight = weights(torch.from_numpy(palette_of(STREETS, C)).mean(0))
    assert weight[SIGN] > weight[ROAD]
    filters = bases(labels, weight)[1]
    planes = fold(labels[:2], C, 1)
    numbers = described(planes, filters).flatten(0, 2)
    side = filters.shape[-1]
    wide = F.pad(planes * weight[:, None, None], (side // 2,) * 4, mode="replicate")
    patches = F.unfold(wide, side).transpose(1, 2).flatten(0, 1)
    one, other = torch.randint(len(patches), (2, 4000), generator=torch.Generator().manual_seed(0))
    near, far = ((them[one] - them[other]).square().sum(1) for them in (numbers, patches))
    assert (near <= far + 1e-3).all()  # a projection shortens
    assert near.sum() > 0.9 * far.sum()


# -- matching -------------------------------------------------------------------------------------


@pytest.fixture
def planes():
    return fold(torch.from_numpy(STREETS[:6]).long(), C, 2)


def test_a_source_is_found_again_at_its_place(planes):
    keys = described(planes, bases(torch.from_numpy(STREETS).long(), torch.ones(C))[2])
    field = exhaustive(keys[4], keys, torch.zeros(keys.shape[:3]), 2)
    found = votes(field, planes)
    torch.testing.assert_close(found, planes[4:5], atol=0.35, rtol=0)
    assert (found - planes[4:5]).abs().mean() < 0.01
    rows = torch.arange(field.shape[1])[:, None] + field[1]
    same = keys[field[0], rows, torch.arange(field.shape[2]) + field[2]]
    torch.testing.assert_close(same, keys[4])


def test_patches_stay_within_reach_and_dear_ones_are_left(planes):
    keys = torch.zeros(2, 8, 4, 1)
    keys[0, 7] = 1.0  # what the query looks for is at the bottom
    query = torch.ones(8, 4, 1)
    cost = torch.zeros(2, 8, 4)
    assert exhaustive(query, keys, cost, 1)[1].abs().max() <= 1
    far = exhaustive(query, keys, cost, 7)
    assert ((torch.arange(8)[:, None] + far[1]) == 7).all()
    cost[0] = 5.0
    assert (exhaustive(query, keys, cost, 7)[0] == 1).all()
    begun = torch.zeros(3, 8, 4, dtype=torch.int64)
    near = coherent(query, keys, torch.zeros(2, 8, 4), begun, 1)
    assert near[1].abs().max() <= 1 and (near[0] == 0).all()


def test_a_field_that_moves_nothing_shows_its_source_on_every_grid():
    labels = torch.from_numpy(STREETS[:3]).long()
    field = torch.zeros(3, 8, 16, dtype=torch.int64)
    field[0] = 2
    for factor in (4, 2, 1):
        planes = fold(labels, C, factor)
        torch.testing.assert_close(votes(field, planes), planes[2:3])
        field = doubled(field, (2 * field.shape[1], 2 * field.shape[2]))


def test_finer_grids_follow_a_displaced_field(planes):
    field = torch.zeros(3, 8, 16, dtype=torch.int64)
    field[2, :, :8] = 8  # the left half is the source's right half
    fine = doubled(field, (16, 32))
    shown = votes(fine, planes)[0]
    torch.testing.assert_close(shown[:, :, 1:15], planes[0, :, :, 17:31])


# -- plans ----------------------------------------------------------------------------------------


def test_a_plan_fills_the_palette_where_real_layouts_have_their_classes():
    labels = torch.from_numpy(STREETS).long()
    values, shares = fold(labels, C, 4), torch.from_numpy(palette_of(STREETS, C)).mean(0)
    asked = torch.tensor([0.2, 0.4, 0.25, 0.14, 0.01])
    made = [
        plan.draw(values, shares, asked, noise=1.0, rng=torch.Generator().manual_seed(seed))
        for seed in range(2)
    ]
    for one in made:
        torch.testing.assert_close(one.mean((0, 2, 3)), asked, atol=0.01, rtol=0)
        assert one[0, SKY, 0].mean() > one[0, SKY, -1].mean()
        assert one[0, ROAD, -1].mean() > one[0, ROAD, 0].mean()
    assert (made[0] - made[1]).abs().mean() > 0.01
    lacking = plan.lacking(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
    assert lacking[0] < 0 < lacking[1] <= plan.MOST


# -- what is lost is put back ---------------------------------------------------------------------


def test_a_lost_class_comes_back_as_whole_objects_of_a_source():
    without = np.where(STREETS[0] == SIGN, SKY, STREETS[0])
    palette = palette_of(STREETS[:1], C)[0]
    made = complete(without, STREETS[:3], palette, smallest=0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(made, STREETS[0])
    assert not (without == SIGN).any()  # its input is as it was


def test_a_class_with_enough_and_one_that_nobody_shows_stay():
    palette = palette_of(STREETS[:1], C)[0]
    same = complete(STREETS[0], STREETS[:3], palette, smallest=0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(same, STREETS[0])
    nobody = complete(STREETS[1], STREETS[1:3], palette, smallest=0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(nobody, STREETS[1])


def test_a_piece_goes_where_its_surroundings_are():
    label = np.full(SIZE, ROAD, np.uint8)
    label[:, 32:] = SKY
    sources = np.full((2, *SIZE), SKY, np.uint8)
    sources[0, 10:13, 4:7] = SIGN  # before the sky, where the layout has road
    sources[1, 10:13, 44:47] = SIGN
    palette = np.array([0.5, 0.495, 0, 0, 0.005])
    for seed in range(5):
        made = complete(label, sources, palette, smallest=0, rng=np.random.default_rng(seed))
        assert (made[10:13, 44:47] == SIGN).all() and (made[10:13, 4:7] == ROAD).all()


def test_a_class_with_large_objects_alone_is_not_put_in_for_a_trace_of_it():
    label = np.where(STREETS[1] == HOUSE, SKY, STREETS[1])
    for share, there in ((0.004, False), (0.08, True)):
        palette = np.array([0.5, 0.5 - share, share, 0, 0])
        made = complete(label, STREETS[1:4], palette, smallest=0, rng=np.random.default_rng(0))
        assert (made == HOUSE).any() == there


def test_every_object_is_put_in_once_and_small_ones_not_at_all():
    sources = np.full((1, *SIZE), SKY, np.uint8)
    for left in (4, 14, 24, 34):
        sources[0, 6:9, left : left + 3] = SIGN
    sources[0, 20, 50] = SIGN
    palette = np.array([1 - 36 / 2048, 0, 0, 0, 36 / 2048])
    label = np.full(SIZE, SKY, np.uint8)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        made = complete(label, sources, palette, smallest=2, rng=rng)
        assert (made == SIGN).sum() == 18  # half of what is asked for: two of the four
        assert made[20, 50] == SKY


# -- the method -----------------------------------------------------------------------------------


def test_layouts_have_the_classes_that_are_asked_for_and_no_others(real):
    method = fitted(real)
    palettes = palette_of(STREETS, C)
    made = draw(method, palettes).label.numpy()
    np.testing.assert_array_equal(palette_of(made, C) > 0, palettes > 0)
    exact = (made[:, None] == STREETS[None]).all((2, 3))
    assert exact.sum() < len(made) / 4  # they are new


def test_layouts_follow_their_palette(real):
    asked = np.tile([[0.2, 0.6, 0.1, 0.1, 0], [0.55, 0.3, 0.1, 0.05, 0]], (6, 1))
    sky = palette_of(draw(fitted(real), asked).label.numpy(), C)[:, SKY]
    assert sky[1::2].mean() - sky[::2].mean() > 0.1  # no real one has so little or so much
    assert sky[1::2].min() > sky[::2].max()


def test_thin_and_small_things_are_whole(real):
    method = fitted(real)
    asked = palette_of(STREETS[:1], C).repeat(6, 0)
    for label in draw(method, asked).label.numpy():
        _, count = connected(label == SIGN)
        assert 1 <= count <= 2 and (label == SIGN).sum() >= 4


def test_a_layout_depends_on_its_own_draw_alone(real):
    method = fitted(real)
    palettes = palette_of(STREETS[:4], C)
    together = draw(method, palettes).label
    alone = draw(method, palettes[2:3], [2]).label
    torch.testing.assert_close(alone[0], together[2])
    torch.testing.assert_close(draw(fitted(real), palettes).label, together)
    assert (draw(method, palettes, [7, 8, 9, 10]).label != together).any()


def test_a_class_that_few_layouts_show_is_among_the_sources(tmp_path):
    labels = np.where(STREETS == SIGN, SKY, STREETS)
    labels[11] = STREETS[0]
    method = fitted(write(tmp_path / "train", labels), num_sources=2)
    asked = palette_of(STREETS[:1], C).repeat(5, 0)
    assert (draw(method, asked).label == SIGN).flatten(1).any(1).all()


def test_sources_are_mirrored_only_where_training_pairs_are(tmp_path):
    one_sided = np.full((6, *SIZE), SKY, np.uint8)
    one_sided[:, 16:] = ROAD
    one_sided[:, 10:22, :16] = HOUSE
    real = write(tmp_path / "train", one_sided, mirrors={HOUSE: CAR, CAR: HOUSE})
    asked = palette_of(one_sided, C)
    right = draw(fitted(real, flip=False), asked).label[:, :, 40:]
    assert not (right == HOUSE).any() and not (right == CAR).any()
    both = np.tile([[0.5, 0.3, 0.1, 0.1, 0]], (6, 1))
    mirrored = draw(fitted(real, flip=True), both).label
    assert (mirrored[:, :, 48:] == CAR).any() and not (mirrored[:, :, 48:] == HOUSE).any()


def test_a_class_that_a_mirror_turns_into_another_is_among_the_sources(tmp_path):
    labels = np.where((STREETS == SIGN) | (STREETS == CAR), ROAD, STREETS)[:6]
    labels[3, 22:28, 20:34] = CAR
    method = fitted(write(tmp_path / "train", labels, mirrors={CAR: SIGN, SIGN: CAR}))
    asked = np.tile(palette_of(labels[3:4], C), (8, 1))
    made = draw(method, asked).label.numpy()
    np.testing.assert_array_equal(palette_of(made, C) > 0, asked > 0)
    mirrored = asked[:, [SKY, ROAD, HOUSE, SIGN, CAR]]
    made = draw(method, mirrored).label.numpy()
    np.testing.assert_array_equal(palette_of(made, C) > 0, mirrored > 0)


@pytest.mark.parametrize("smallest", [4, 16])
def test_no_region_is_smaller_than_it_may_be(real, smallest):
    made = draw(fitted(real, smallest=smallest), palette_of(STREETS[:6], C)).label.numpy()
    for label in made:
        numbered, _ = components(label, C, corners=True)
        assert np.bincount(numbered.ravel())[1:].min() >= smallest


def test_with_no_reach_patches_stay_in_their_rows(real):
    method = fitted(real, reach=0.0)
    label = draw(method, palette_of(STREETS[:1], C)).label.numpy()[0]
    assert not (label[-4:] == SKY).any() and not (label[:4] == ROAD).any()


def test_pixels_without_a_class_are_filled_from_beside_them(tmp_path):
    labels = STREETS[:4].copy()
    labels[:, 22:25] = IGNORE
    labels[3] = IGNORE
    real = write(tmp_path / "train", labels)
    method = fitted(real)
    assert method.num_pairs == 4 and len(method.bank.labels) == 3
    assert int(method.bank.labels.max()) < C
    assert draw(method, palette_of(STREETS[:3], C)).label.max() < C
    nothing = write(tmp_path / "empty", np.full((2, *SIZE), IGNORE, np.uint8))
    with pytest.raises(UserError, match="no pixel with a class"):
        fitted(nothing)


def test_sizes_that_cannot_be_halved_are_drawn_too(tmp_path):
    odd = STREETS[:6, :29, :53]
    made = draw(fitted(write(tmp_path / "train", odd)), palette_of(odd, C)).label
    assert made.shape == odd.shape
    np.testing.assert_array_equal(palette_of(made.numpy(), C) > 0, palette_of(odd, C) > 0)


def test_a_palette_of_nothing_that_is_there_is_drawn_as_the_sources_are(tmp_path):
    labels = np.where(STREETS == SIGN, SKY, STREETS)
    method = fitted(write(tmp_path / "train", labels))
    made = draw(method, [[0, 0, 0, 0, 1.0]]).label
    assert not (made == SIGN).any() and made.max() < C
