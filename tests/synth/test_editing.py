"""Edits of real layouts: what is asked for, what training sees, and what becomes of the labels."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.batches import onehot
from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from synth.layouts.common.editing import (
    disagreement,
    with_hole,
    with_palette,
    without_classes,
)
from synth.layouts.common.masks import (
    merge,
    novelty,
    remove,
    remove_classes,
    surroundings,
    switch,
    training_edit,
)
from synth.layouts.common.scene import Scene
from synth.training.loop import Options, train
from synth.training.method import Given, Progress, generator
from tests.synth import small
from tests.synth.scenes import SIZE, law_of, stream_of

C = 5
SKY, ROAD, CAR, SIGN, NEVER = range(C)
SMALL = {"hidden": 4, "levels": ((0, 16, 8), (8, 8, 4), (8, 8, 4))}
BALANCED, ARGMAX = small.BALANCED, small.ARGMAX
CLEAN = {"kind": "balanced", "smallest": 6}
MIXED = {"band": 0.4, "classes": 0.3, "switch": 0.3}


@pytest.fixture(scope="module")
def labels():
    """Sky above road, a car across their border, and a sign of two pixels in most."""
    rng = np.random.default_rng(0)
    label = np.zeros((24, *SIZE), np.uint8)
    for number, item in enumerate(label):
        item[rng.integers(6, 12) :] = ROAD
        left = rng.integers(1, 24)
        item[4 : 8 + number % 3, left : left + 6] = CAR
        if number % 4:
            item[1:3, 30] = SIGN
    return label


@pytest.fixture(scope="module")
def palettes(labels):
    return law_of(palette_of(labels, C), min_share=1e-3)


@pytest.fixture
def build(palettes):
    def make(**changes):
        torch.manual_seed(0)
        return small.build("partial_palette", Given(C, SIZE, palettes), **{**SMALL, **changes})

    return make


@pytest.fixture
def stream(labels):
    return stream_of(labels)


@pytest.fixture
def real(labels):
    return torch.from_numpy(labels[:6].astype(np.int64))


def chosen(count, *ids):
    classes = torch.zeros(count, C, dtype=torch.bool)
    classes[:, list(ids)] = True
    return classes


# -- what is asked for ----------------------------------------------------------------------------


def test_a_removed_class_is_unknown_and_its_ring_is_asked_for():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[0, 4:] = ROAD
    label[0, 3:5, 2:6] = CAR
    edit = remove_classes(label, chosen(1, CAR))
    assert torch.equal(edit.removed, label == CAR)
    scene = Scene(edit, (8, 8), keep="outside", z=torch.zeros(1, 1))
    assert torch.equal(scene.layout((8, 8))[0, :, 3, 2], torch.full((C,), 1 / C))
    assert torch.equal(scene.layout((8, 8))[0, :, 0, 0], onehot(label, C)[0, :, 0, 0])
    # 6 pixels above and 2 beside, as many below: half sky, half road, scaled to 8 of 64 pixels
    torch.testing.assert_close(edit.share[0], torch.tensor([4, 4, 0, 0, 0, 56]) / 64)
    assert not edit.growing.any()


def test_removed_classes_are_never_asked_for():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[0, 2:6, 2:6] = CAR
    label[0, 3:5, 3:5] = SIGN  # the ring of the sign alone would be car
    edit = remove_classes(label, chosen(1, CAR, SIGN))
    torch.testing.assert_close(edit.share[0], torch.tensor([16, 0, 0, 0, 0, 48]) / 64)


@pytest.mark.parametrize("classes", [(NEVER,), (SKY, ROAD, CAR, SIGN)])
def test_nothing_is_removed_where_there_is_nothing_or_nothing_else(real, classes):
    edit = remove_classes(real, chosen(len(real), *classes))
    assert not edit.removed.any()
    torch.testing.assert_close(edit.share[:, -1], torch.ones(len(real)))


def test_a_switch_asks_for_what_is_missing_and_takes_nothing_out(real):
    layout = onehot(real, C)
    share = layout.mean((2, 3))
    palette = torch.zeros_like(share)
    palette[:, CAR] = share[:, CAR] + 0.1
    palette[:, SIGN] = share[:, SIGN] + 0.0009  # a trace
    palette[:, SKY] = share[:, SKY] - 0.1
    edit = switch(real, palette)
    expected = torch.zeros(len(real), C + 1)
    expected[:, CAR], expected[:, -1] = 0.1, 0.9
    torch.testing.assert_close(edit.share, expected)
    assert torch.equal(edit.label, real) and not edit.removed.any()
    assert torch.equal(edit.growing, chosen(len(real), CAR))


def test_surroundings_fill_from_the_rim():
    label = torch.zeros(2, 6, 8, dtype=torch.long)
    label[0, :, 4:] = ROAD
    mask = torch.zeros(2, 6, 8, dtype=torch.bool)
    mask[0, 2:4, 1:7] = True
    mask[1] = True
    layout = onehot(label, C)
    filled = surroundings(layout, mask)
    torch.testing.assert_close(filled.sum(1), torch.ones(2, 6, 8))
    assert torch.equal(filled[0][:, ~mask[0]], layout[0][:, ~mask[0]])
    assert filled[0, SKY, 2, 2] == 1 and filled[0, ROAD, 3, 5] == 1
    assert torch.equal(filled[1], layout[1])


def test_novelty_is_the_share_of_what_is_painted_over_itself(real):
    layout = onehot(real, C)
    share = layout.mean((2, 3))
    edit = switch(real, chosen(len(real), CAR) * (share + 0.05))
    car = (real == CAR).float()
    over, beside = torch.zeros(2, len(real), C + 1, *SIZE)
    for soft, place in ((over, car), (beside, 1 - car)):
        soft[:, CAR] = place * 0.05 / place.mean((1, 2), keepdim=True)
        soft[:, -1] = 1 - soft[:, CAR]
    assert float(novelty(over, layout, edit)) == pytest.approx(1, abs=1e-4)
    assert float(novelty(beside, layout, edit)) == 0
    removal = remove_classes(real, chosen(len(real), CAR))
    assert float(novelty(over, layout, removal)) == 0


# -- training -------------------------------------------------------------------------------------


def drawn_edit(label, palettes, masks, rng, another=0.0):
    lengths = {"bands": (0.5, 1.0), "boxes": (0.25, 0.75)}
    return training_edit(label, masks, **lengths, another=another, palettes=palettes, rng=rng)


def test_holes_may_be_asked_for_the_palette_of_the_next_label(labels, palettes):
    label = torch.from_numpy(labels.astype(np.int64))
    asked = {
        share: drawn_edit(label, palettes, {"band": 1.0}, generator(0), share)
        for share in (1.0, 0.5)
    }
    beside = torch.arange(len(label)) ^ 1
    own, other = (
        remove(label, asked[1.0].removed, C, like).share for like in (label, label[beside])
    )
    assert torch.equal(asked[1.0].share, other) and not torch.equal(own, other)
    half = asked[0.5]
    own, other = (
        remove(label, half.removed, C, like).share == half.share for like in (label, label[beside])
    )
    assert bool((own.all(1) | other.all(1)).all())
    assert 4 < int((other.all(1) & ~own.all(1)).sum()) < 20, "of 24"


def test_edits_in_pairs_differ_in_their_noise_alone(build, stream):
    label = stream.batch(0, 5).label
    holes = torch.zeros_like(label, dtype=torch.bool)
    for item in range(5):
        holes[item, :, item : item + 8] = True
    edit = remove(label, holes, C)
    paired = edit.in_pairs()
    for name in ("label", "share", "removed"):
        one, all_ = getattr(paired, name), getattr(edit, name)
        assert torch.equal(one, all_[[0, 0, 2, 2, 4]])


def test_training_draws_kinds_as_often_as_asked(labels, palettes):
    label = torch.from_numpy(labels.astype(np.int64)).repeat(40, 1, 1)
    masks = {"band": 0.3, "box": 0.2, "classes": 0.2, "switch": 0.3}
    edit = drawn_edit(label, palettes, masks, generator(0))
    torch.testing.assert_close(edit.share.sum(1), torch.ones(len(label)))
    removed, some = edit.removed, edit.removed.any((1, 2))
    is_band = (removed == removed[:, :1]).all((1, 2)) & some
    filled = removed.any(2)[:, :, None] & removed.any(1)[:, None]
    is_box = (removed == filled).all((1, 2)) & some & ~is_band
    assert abs(float(is_band.float().mean()) - 0.3) < 0.06
    assert abs(float((~some).float().mean()) - 0.3) < 0.06
    # a removal takes all pixels of one class
    taken = {SKY: 0, ROAD: 0, CAR: 0, SIGN: 0}
    for item in (some & ~is_band).nonzero()[:, 0].tolist():
        names = label[item][removed[item]].unique().tolist()
        whole = len(names) == 1 and torch.equal(removed[item], label[item] == names[0])
        assert whole or is_box[item]
        if whole:
            taken[names[0]] += 1
    assert abs(sum(taken.values()) / len(label) - 0.2) < 0.06 and min(taken.values())
    sides = removed[is_box].any(2).sum(1)
    sides = sides[sides > 2]  # a sign that is taken out is a box too
    assert int(sides.min()) == 4 and int(sides.max()) == 12, "a quarter to three quarters of 16"
    # a switch lets one class grow or several, never what it has not drawn
    grown = edit.growing[~some].sum(1)
    assert int(grown.min()) <= 1 < int(grown.max()) < C


def test_bands_alone_draw_nothing_else(labels, palettes):
    label, rng = torch.from_numpy(labels.astype(np.int64)), generator(7)
    edit = drawn_edit(label, palettes, {"band": 1.0}, rng)
    again = generator(7)
    places = torch.rand(len(label), 2, generator=again)
    widths = ((0.5 + 0.5 * places[:, 0]) * SIZE[1]).round().long()
    assert torch.equal(edit.removed[:, 0].sum(1), widths)
    assert torch.equal(rng.get_state(), again.get_state())


def test_the_critic_sees_the_same_outside_a_hole_in_edits_and_in_real_layouts(build, stream):
    method, seen = build(mode_seeking_weight=0.0), []
    critic = method.nets["D"].forward

    def looking(layout, **where):
        seen.append(layout.detach())
        return critic(layout, **where)

    method.nets["D"].forward = looking
    batch = stream.batch(0, 8)
    for phase in method.phases(batch, Progress(0, 0, 1, 2, 1.0, generator(0, 0))):
        phase.loss()
    fake, real = seen[1].chunk(2)
    assert fake.shape[1] == C + 1, "the last plane says where the hole is"
    assert torch.equal(fake[:, -1], real[:, -1])
    # two pixels from the edge what is inside is blurred with what is outside
    near = torch.nn.functional.max_pool2d(fake[:, -1:], 5, 1, 2)
    far = (near == 0).expand_as(fake)
    assert far.any() and not far.all()
    torch.testing.assert_close(fake[far], real[far])
    inside = (fake[:, -1:] == 1).expand_as(fake)
    assert not torch.allclose(fake[inside], real[inside])


def test_a_mixed_editor_trains_the_same_twice(build, stream, tmp_path):
    runs = [
        train(
            build(masks=MIXED),
            stream,
            seed=3,
            checkpoint_dir=tmp_path / name,
            label=name,
            device=torch.device("cpu"),
            options=Options(log_every=2),
        )
        for name in ("a", "b")
    ]
    (nets, curve), (_, again) = runs
    assert curve == again and all("G/novelty" in point for point in curve)
    assert all(bool(tensor.isfinite().all()) for tensor in nets.state_dict().values())


@pytest.mark.parametrize(
    "masks", [{}, {"band": 0.5}, {"band": 1.5, "switch": -0.5}, {"bands": 1.0}]
)
def test_shares_of_masks_are_checked(masks):
    with pytest.raises(ValidationError):
        small.config("partial_palette", **SMALL, masks=masks)


# -- labels ---------------------------------------------------------------------------------------


def noise_of(method, count):
    return torch.randn(count, method.noise_length, generator=generator(1))


def middle(real):
    hole = torch.zeros_like(real, dtype=torch.bool)
    hole[:, :, 8:24] = True
    return hole


@pytest.mark.parametrize("keep", ["outside", "learnt"])
@pytest.mark.parametrize("rounding", [BALANCED, ARGMAX, CLEAN])
def test_a_hole_is_filled_with_the_classes_that_are_asked_for_alone(build, real, keep, rounding):
    method, hole = build(rounding=rounding, keep=keep), middle(real)
    real[:, 0, 8] = NEVER  # one pixel of 512 in the hole: under 0.2 %, so not asked for
    z = noise_of(method, len(real))
    with torch.no_grad():
        drawn = with_hole(method, method.nets.eval(), real=real, hole=hole, z=z)
    assert torch.equal(drawn.edited, hole)
    assert torch.equal(drawn.label[~hole], real[~hole])
    for label, was, where in zip(drawn.label, real, hole, strict=True):
        assert set(label[where].tolist()) <= set(was[where].tolist()) - {NEVER}
    torch.testing.assert_close(drawn.target.sum(1), torch.ones(len(real)))
    if rounding["kind"] == "balanced":
        made = onehot(drawn.label, C).mean((2, 3))
        missed = 6 + rounding["smallest"]
        assert float((made - drawn.target).abs().max()) * SIZE[0] * SIZE[1] < missed


def test_a_hole_may_be_asked_for_the_palette_of_another_label(build, real):
    method, hole = build(), middle(real)
    like = torch.full_like(real, SKY)
    like[:, :, 8:12] = NEVER  # a quarter of the hole
    z = noise_of(method, len(real))
    with torch.no_grad():
        drawn = with_hole(method, method.nets.eval(), real=real, hole=hole, z=z, like=like)
    inside = onehot(drawn.label, C).movedim(1, -1)[hole].view(len(real), -1, C).mean(1)
    wanted = torch.tensor([0.75, 0, 0, 0, 0.25]).expand_as(inside)
    torch.testing.assert_close(inside, wanted, atol=0.02, rtol=0)
    assert torch.equal(drawn.label[~hole], real[~hole])


@pytest.mark.parametrize("rounding", [BALANCED, ARGMAX, CLEAN])
@pytest.mark.parametrize("classes", [(CAR,), (SIGN,), (CAR, SIGN), (ROAD,)])
def test_removed_classes_are_gone_and_all_else_stays(build, real, classes, rounding):
    method = build(rounding=rounding)
    nets = method.nets.eval()
    z = noise_of(method, len(real))
    with torch.no_grad():
        drawn = without_classes(method, nets, real=real, classes=chosen(len(real), *classes), z=z)
    gone = torch.isin(real, torch.tensor(classes))
    assert torch.equal(drawn.edited, gone)
    assert not torch.isin(drawn.label, torch.tensor(classes)).any()
    assert torch.equal(drawn.label[~gone], real[~gone])
    torch.testing.assert_close(drawn.target.sum(1), torch.ones(len(real)))
    # only what surrounds an object covers it, and a small one (a sign of two pixels) too
    present = set(real[~gone].unique().tolist())
    assert set(drawn.label[gone].unique().tolist()) <= present


def test_holes_are_filled_with_the_shares_of_their_ring(build, real):
    method = build()
    z = noise_of(method, len(real))
    with torch.no_grad():
        drawn = without_classes(
            method, method.nets.eval(), real=real, classes=chosen(len(real), CAR), z=z
        )
    made = onehot(drawn.label, C).mean((2, 3))
    assert float((made - drawn.target).abs().max()) * SIZE[0] * SIZE[1] < 4


def test_one_pixel_between_classes_becomes_one_of_them(build):
    label = torch.zeros(1, *SIZE, dtype=torch.long)
    label[0, 8:] = ROAD
    label[0, 8, 5], label[0, 7, 5] = CAR, SIGN
    method = build()
    z = noise_of(method, 1)
    with torch.no_grad():
        drawn = without_classes(method, method.nets.eval(), real=label, classes=chosen(1, CAR), z=z)
    assert int(drawn.label[0, 8, 5]) in (SKY, ROAD, SIGN)
    assert int((drawn.label != label).sum()) == 1


def test_a_grown_class_reaches_its_share_and_takes_nothing_of_itself(build, real):
    method = build(masks=MIXED)
    nets = method.nets.eval()
    z = noise_of(method, len(real))
    palette = torch.zeros(len(real), C)
    palette[:, CAR], palette[:, NEVER] = 0.2, 0.05
    with torch.no_grad():
        drawn = with_palette(method, nets, real=real, palette=palette, z=z)
    made = onehot(drawn.label, C).mean((2, 3))
    pixels = SIZE[0] * SIZE[1]
    assert float((made - palette)[:, [CAR, NEVER]].abs().max()) * pixels < 12
    assert torch.equal(drawn.edited, drawn.label != real)
    assert set(drawn.label[drawn.edited].unique().tolist()) == {CAR, NEVER}
    assert bool((drawn.label[real == CAR] == CAR).all())
    torch.testing.assert_close(drawn.target.sum(1), torch.ones(len(real)))
    torch.testing.assert_close(drawn.target[:, CAR], torch.full((len(real),), 0.2))


def test_nothing_grows_where_nothing_is_asked_for(build, real):
    method = build(masks=MIXED)
    z = noise_of(method, len(real))
    with torch.no_grad():
        drawn = with_palette(
            method, method.nets.eval(), real=real, palette=torch.zeros(len(real), C), z=z
        )
    assert torch.equal(drawn.label, real) and not drawn.edited.any()


def test_keeping_inside_a_hole_gives_the_surroundings():
    layout = onehot(torch.zeros(1, 4, 4, dtype=torch.long), C)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 1, 1] = True
    raw = torch.zeros(1, C + 1, 4, 4)
    raw[:, -1] = 1
    assert torch.equal(merge(raw, surroundings(layout, mask)), layout)


def test_disagreement_is_that_of_two_noises_in_a_band(build, labels, tmp_path):
    table = ClassTable(tuple(ClassInfo(name, (i, i, i)) for i, name in enumerate("abcde")))
    with ShardWriter(tmp_path / "real", classes=table, size=SIZE, fingerprint="f") as writer:
        for number, label in enumerate(labels):
            writer.write(Pair(f"{number}", np.zeros((*SIZE, 3), np.uint8), label, "real"))
    real = PairSet(tmp_path / "real")
    method = build(bands=(1.0, 1.0), rounding=ARGMAX)
    found = disagreement(method, method.nets.eval(), real)
    apart = np.mean([labels[i] != labels[(i + 12) % 24] for i in range(24)])
    assert found["disagreement_real"] == pytest.approx(apart, abs=1e-3)
    assert 0.05 < found["disagreement"] <= 1
    deaf = build(bands=(1.0, 1.0), noise="vector", latent=1)
    for parameter in deaf.nets["G"].stem.parameters():
        parameter.data.zero_()
    assert disagreement(deaf, deaf.nets.eval(), real)["disagreement"] == 0
