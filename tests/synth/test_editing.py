"""Edits of real layouts: what is asked for, what training sees, and what becomes of the labels."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.batches import onehot
from data.pairs.pair import palette_of
from synth.layouts.common.editing import with_palette, without_classes
from synth.layouts.common.masks import (
    merge,
    novelty,
    remove_classes,
    surroundings,
    switch,
    training_edit,
)
from synth.training.loop import Options, train
from synth.training.method import Given, Progress, generator
from tests.synth import small
from tests.synth.scenes import SIZE, law_of, stream_of

C = 5
SKY, ROAD, CAR, SIGN, NEVER = range(C)
LOSSES = {  # of the code before it knew of masks
    "adversarial": 0.2624,
    "entropy": 3.11,
    "merged_entropy": 3.0344,
    "spread": 1.3828,
    "wasserstein": 0.0112,
    "penalty": 6.2908,
}
SMALL = {"hidden": 4, "levels": ((0, 16, 8), (8, 8, 4), (8, 8, 4))}
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
    layout = onehot(label, C)
    edit = remove_classes(layout, chosen(1, CAR))
    assert torch.equal(edit.removed, label == CAR)
    assert torch.equal(edit.layout[0, :, 3, 2], torch.full((C,), 1 / C))
    assert torch.equal(edit.layout[0, :, 0, 0], layout[0, :, 0, 0])
    # 6 pixels above and 2 beside, as many below: half sky, half road, scaled to 8 of 64 pixels
    torch.testing.assert_close(edit.share[0], torch.tensor([4, 4, 0, 0, 0, 56]) / 64)
    assert not edit.growing.any()


def test_removed_classes_are_never_asked_for():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[0, 2:6, 2:6] = CAR
    label[0, 3:5, 3:5] = SIGN  # the ring of the sign alone would be car
    edit = remove_classes(onehot(label, C), chosen(1, CAR, SIGN))
    torch.testing.assert_close(edit.share[0], torch.tensor([16, 0, 0, 0, 0, 48]) / 64)


@pytest.mark.parametrize("classes", [(NEVER,), (SKY, ROAD, CAR, SIGN)])
def test_nothing_is_removed_where_there_is_nothing_or_nothing_else(real, classes):
    layout = onehot(real, C)
    edit = remove_classes(layout, chosen(len(real), *classes))
    assert torch.equal(edit.layout, layout) and not edit.removed.any()
    torch.testing.assert_close(edit.share[:, -1], torch.ones(len(real)))


def test_a_switch_asks_for_what_is_missing_and_takes_nothing_out(real):
    layout = onehot(real, C)
    share = layout.mean((2, 3))
    palette = torch.zeros_like(share)
    palette[:, CAR] = share[:, CAR] + 0.1
    palette[:, SIGN] = share[:, SIGN] + 0.0009  # a trace
    palette[:, SKY] = share[:, SKY] - 0.1
    edit = switch(layout, palette)
    expected = torch.zeros(len(real), C + 1)
    expected[:, CAR], expected[:, -1] = 0.1, 0.9
    torch.testing.assert_close(edit.share, expected)
    assert torch.equal(edit.layout, layout) and not edit.removed.any()
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
    edit = switch(layout, chosen(len(real), CAR) * (share + 0.05))
    car = (real == CAR).float()
    over, beside = torch.zeros(2, len(real), C + 1, *SIZE)
    for soft, place in ((over, car), (beside, 1 - car)):
        soft[:, CAR] = place * 0.05 / place.mean((1, 2), keepdim=True)
        soft[:, -1] = 1 - soft[:, CAR]
    assert float(novelty(over, layout, edit)) == pytest.approx(1, abs=1e-4)
    assert float(novelty(beside, layout, edit)) == 0
    removal = remove_classes(layout, chosen(len(real), CAR))
    assert float(novelty(over, layout, removal)) == 0


# -- training -------------------------------------------------------------------------------------


def test_training_draws_kinds_as_often_as_asked(labels, palettes):
    layout = onehot(torch.from_numpy(labels.astype(np.int64)).repeat(40, 1, 1), C)
    edit = training_edit(layout, MIXED, min_band=0.5, palettes=palettes, rng=generator(0))
    torch.testing.assert_close(edit.share.sum(1), torch.ones(len(layout)))
    is_band = (edit.removed == edit.removed[:, :1]).all((1, 2)) & edit.removed.any((1, 2))
    is_switch = ~edit.removed.any((1, 2))
    assert abs(float(is_band.float().mean()) - 0.4) < 0.06
    assert abs(float(is_switch.float().mean()) - 0.3) < 0.06
    # a removal takes all pixels of one class
    label = layout.argmax(1)
    taken = set()
    for item in (~is_band & ~is_switch).nonzero()[:, 0].tolist():
        (name,) = label[item][edit.removed[item]].unique().tolist()
        assert torch.equal(edit.removed[item], label[item] == name)
        taken.add(name)
    assert taken == {SKY, ROAD, CAR, SIGN}
    # a switch lets one class grow or several, never what it has not drawn
    grown = edit.growing[is_switch].sum(1)
    assert int(grown.min()) <= 1 < int(grown.max()) < C


def test_bands_alone_draw_what_they_always_drew(labels, palettes):
    layout = onehot(torch.from_numpy(labels.astype(np.int64)), C)
    rng = generator(7)
    edit = training_edit(layout, {"band": 1.0}, min_band=0.5, palettes=palettes, rng=rng)
    again = generator(7)
    places = torch.rand(len(layout), 2, generator=again)
    widths = ((0.5 + 0.5 * places[:, 0]) * SIZE[1]).round().long()
    assert torch.equal(edit.removed[:, 0].sum(1), widths)
    assert torch.equal(rng.get_state(), again.get_state()), "nothing else is drawn"


def test_default_masks_lose_what_they_always_lost(build, stream):
    method = build()
    found = {}
    for phase in method.phases(stream.batch(0, 8), Progress(0, 0, 1, 2, 1.0, generator(0, 0))):
        found |= {name: round(float(term.detach()), 4) for name, term in phase.loss().items()}
    assert found == pytest.approx(LOSSES, abs=2e-4)


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


@pytest.mark.parametrize("rounding", ["balanced", "argmax"])
@pytest.mark.parametrize("classes", [(CAR,), (SIGN,), (CAR, SIGN), (ROAD,)])
def test_removed_classes_are_gone_and_all_else_stays(build, real, classes, rounding):
    method = build(rounding=rounding)
    nets = method.nets.eval()
    z = torch.randn(len(real), 8, generator=generator(1))
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
    z = torch.randn(len(real), 8, generator=generator(1))
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
    z = torch.randn(1, 8, generator=generator(1))
    with torch.no_grad():
        method = build()
        drawn = without_classes(method, method.nets.eval(), real=label, classes=chosen(1, CAR), z=z)
    assert int(drawn.label[0, 8, 5]) in (SKY, ROAD, SIGN)
    assert int((drawn.label != label).sum()) == 1


def test_a_grown_class_reaches_its_share_and_takes_nothing_of_itself(build, real):
    method = build(masks=MIXED)
    nets = method.nets.eval()
    z = torch.randn(len(real), 8, generator=generator(1))
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
    z = torch.randn(len(real), 8, generator=generator(1))
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
