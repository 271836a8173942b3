"""What the training of an editor sees."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from synth.layouts.common.masks import (
    remove,
    training_edit,
)
from synth.training.loop import Options, train
from synth.training.method import Progress, generator
from tests.synth import small
from tests.synth.editing.conftest import CAR, MIXED, ROAD, SIGN, SKY, SMALL, C
from tests.synth.scenes import SIZE


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
