"""Real pixels that stay outside an edit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data.pairs.shards import PairSet
from synth.layouts.common.edits import Edits
from synth.making import drawing
from tests.synth.making.helpers import ROWS, load
from tests.synth.scenes import STREET
from tests.synth.small import make_pairs


def test_a_composite_is_the_painted_image_inside_the_mask_and_the_real_one_outside():
    rng = torch.Generator().manual_seed(0)
    image, painted = torch.randint(0, 256, (2, 3, 3, 8, 8), generator=rng, dtype=torch.uint8)
    mask = torch.rand(3, 8, 8, generator=rng) < 0.5
    merged = drawing.composite(image, painted, mask).movedim(1, -1)
    assert torch.equal(merged[mask], painted.movedim(1, -1)[mask])
    assert torch.equal(merged[~mask], image.movedim(1, -1)[~mask])
    assert torch.equal(drawing.composite(image, painted, mask.new_zeros(mask.shape)), image)


@pytest.mark.parametrize(("layout", "edits"), [("partial_palette", {}), ("editor", {"sky": 0.5})])
def test_kept_pixels_are_the_parents_and_the_edit_is_painted_as_ever(folder, layout, edits):
    row = ROWS["partial"].model_copy(update={"edits": Edits(add=edits)})
    kept_row = row.model_copy(update={"keep": True})
    plain, kept = (load(folder, "partial", one, layout) for one in (row, kept_row))
    real = {pair.id: pair for pair in PairSet(folder / "train").pairs()}
    for again in (0, 1):
        painted = make_pairs(plain, range(6), 5, again)
        composed = make_pairs(kept, range(6), 5, again)
        for before, pair in zip(painted, composed, strict=True):
            inside = pair.edited
            np.testing.assert_array_equal(pair.label, before.label)
            np.testing.assert_array_equal(pair.image[inside], before.image[inside])
            np.testing.assert_array_equal(pair.image[~inside], real[pair.parent].image[~inside])
        share = np.mean([pair.edited.mean() for pair in composed])
        assert 0 < share < 1, "nothing is painted, or nothing is kept"


def test_a_painter_is_told_of_the_pixels_that_stay(folder):
    asked = []

    class Painter:
        def sample(self, nets, request, rngs):
            asked.append(request)
            return torch.zeros(len(rngs), 3, *STREET)

    for keep in (False, True):
        row = ROWS["partial"].model_copy(update={"keep": keep})
        pairs = make_pairs(replace(load(folder, "partial", row), painter=Painter()), [3], 5)
    assert asked[0].around is None
    (pair,), around = pairs, asked[1].around
    parent = next(p for p in PairSet(folder / "train").pairs() if p.id == pair.parent)
    np.testing.assert_array_equal(around.mask[0].numpy(), ~pair.edited)
    shown = ((around.image[0].permute(1, 2, 0) + 1) * 127.5).round().byte()
    np.testing.assert_array_equal(shown.numpy(), parent.image)


def test_making_reads_no_real_image_unless_pixels_are_kept(folder, monkeypatch):
    monkeypatch.setattr("data.pairs.pairset.decode_image", lambda *_: 1 / 0)
    assert len(make_pairs(load(folder, "partial"), range(4), seed=5)) == 4
    kept = load(folder, "partial", ROWS["partial"].model_copy(update={"keep": True}))
    with pytest.raises(ZeroDivisionError):
        make_pairs(kept, range(4), seed=5)
