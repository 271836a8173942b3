"""A pair depends on models, set, seed and index, and on nothing else; layouts are what is asked."""

import hashlib

import numpy as np
import pytest
import torch

from data.pairs.pair import palette_of
from data.pairs.shards import PairSet
from synth.layouts.common.edits import Edits
from synth.making import drawing
from synth.palettes.controls import Controls
from synth.stages import produce
from tests.synth.making.helpers import ROWS, load
from tests.synth.small import make_pairs


@pytest.fixture(params=["semi", "palette", "partial"])
def ready(request, folder):
    return load(folder, request.param)


def same(pair, other):
    return (
        pair.id == other.id
        and np.array_equal(pair.image, other.image)
        and np.array_equal(pair.label, other.label)
    )


def test_a_batch_is_the_same_whatever_was_made_before(ready, folder):
    first = make_pairs(ready, range(4), seed=5)
    torch.manual_seed(123)
    torch.randn(7)
    make_pairs(ready, range(4, 8), seed=5)
    again = make_pairs(load(folder, ready.name), range(4), seed=5)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))


def test_pairs_hardly_depend_on_their_neighbours_in_the_batch(ready):
    four = make_pairs(ready, range(4), seed=5)
    one = make_pairs(ready, [2], seed=5)[0]
    differing = np.abs(four[2].image.astype(int) - one.image.astype(int)).max()
    assert differing <= 1
    assert (four[2].label != one.label).mean() < 0.01
    assert one.parent == four[2].parent


def test_other_indices_and_seeds_give_other_pairs(ready):
    pairs = make_pairs(ready, range(4), seed=5)
    assert not any(np.array_equal(pairs[0].image, other.image) for other in pairs[1:])
    assert not np.array_equal(pairs[0].image, make_pairs(ready, range(4), seed=6)[0].image)
    assert [pair.seed for pair in pairs] == [5 << 32 | index for index in range(4)]
    assert [pair.id for pair in pairs][1] == f"{ready.name}-0000001"


def test_a_layout_is_painted_again_with_other_noise(ready):
    first, second = (make_pairs(ready, range(4), seed=5, again=n) for n in (0, 1))
    for pair, other in zip(first, second, strict=True):
        assert np.array_equal(pair.label, other.label)
        assert not np.array_equal(pair.image, other.image)
        assert (other.id, other.parent) == (f"{pair.id}-1", pair.parent)


def test_the_stage_writes_pairs_and_a_few_layouts_painted_several_times(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    repaint = "{num_layouts: 3, num_images: 2}"
    (tmp_path / "params.yaml").write_text(
        "compute: {precision: fp32, channels_last: true, threads: 1}\n"
        f"produce: {{batch_size: 2, seed: 0, repaint: {repaint}}}\n"
        "sets:\n  palette: {layouts: semantic_palette, painter: oasis, num_pairs: 5}\n"
    )
    produce.main(
        set="palette",
        train=folder / "train",
        palette=folder / "palette",
        layout=folder / "semantic_palette",
        painter=folder / "oasis",
        out=tmp_path / "palette",
        repainted=tmp_path / "few/palette",
    )
    made = PairSet(tmp_path / "palette")
    assert made.manifest["sources"] == {"palette": 5}
    content = (folder / "train/manifest.json").read_bytes()
    named = {"path": str(folder / "train"), "manifest": hashlib.sha256(content).hexdigest()}
    assert made.starts_from == PairSet(tmp_path / "few/palette").starts_from == named
    few = list(PairSet(tmp_path / "few/palette").pairs())
    assert [pair.id[-2:] for pair in few] == ["00", "01", "02", "-1", "-1", "-1"]
    assert all(np.array_equal(a.label, b.label) for a, b in zip(few[:3], few[3:], strict=True))


def test_semi_pairs_repaint_the_layout_of_their_parent(folder):
    real = {pair.id: pair for pair in PairSet(folder / "train").pairs()}
    pairs = make_pairs(load(folder, "semi"), range(20), seed=0)
    assert all(np.array_equal(p.label, real[p.parent].label) for p in pairs)
    assert all(p.target is None and p.edited is None for p in pairs)
    parents = [pair.parent for pair in pairs]
    assert sorted(parents[:10]) == sorted(parents[10:]) == sorted(real)
    assert parents[:10] != parents[10:]


def test_palette_pairs_are_asked_for_a_palette_and_have_no_parent(folder):
    for pair in make_pairs(load(folder, "palette"), range(4), seed=0):
        assert pair.parent is None and pair.edited is None
        assert pair.target.sum() == pytest.approx(1, abs=1e-5)
        assert pair.label.max() < 4


def test_partial_pairs_keep_every_label_outside_the_band(folder):
    real = {pair.id: pair for pair in PairSet(folder / "train").pairs()}
    for pair in make_pairs(load(folder, "partial"), range(8), seed=0):
        parent = real[pair.parent]
        np.testing.assert_array_equal(pair.label[~pair.edited], parent.label[~pair.edited])
        columns = pair.edited.any(axis=0)
        assert (pair.edited == columns).all(), "the band has full height"
        assert 0.5 <= columns.mean() <= 1
        np.testing.assert_allclose(pair.target, palette_of(parent.label, 4), atol=1e-5)


def test_no_two_draws_of_a_pair_come_from_one_stream():
    streams = [drawing.PARENT, drawing.PALETTE, drawing.LAYOUT, drawing.PAINTER, drawing.STYLE]
    again = [drawing.PAINTER + n * drawing.REPAINT_STRIDE for n in range(1, 100)]
    assert again[:2] == [7, 11], "other streams would change every set's repainted images"
    assert len({*streams, *again}) == len(streams) + len(again)


def test_controls_reach_the_palettes_that_layouts_are_asked_for(folder):
    row = ROWS["palette"].model_copy(update={"controls": Controls(at_least={"car": 0.2})})
    made = make_pairs(load(folder, "palette", row), range(4), seed=5)
    plain = make_pairs(load(folder, "palette"), range(4), seed=5)
    assert min(pair.target[2] for pair in made) >= 0.2 - 1e-6
    assert max(pair.target[2] for pair in plain) < 0.2
    achieved = [palette_of(pair.label, 4)[2] for pair in made]
    assert min(achieved) > 0.15


def test_edits_start_from_the_pairs_that_can_be_edited_so(folder):
    row = ROWS["partial"].model_copy(update={"edits": Edits(add={"sky": 0.5})})
    ready = load(folder, "partial", row, "editor")
    sky = PairSet(folder / "train").column("palette")[:, 1]
    ids = [f"scene-{index}" for index in range(10) if sky[index] + 0.002 <= 0.5]
    assert 0 < len(ids) < 10, "some layouts are half sky already"
    assert list(ready.real_ids) == ids
    made = make_pairs(ready, range(6), seed=5)
    assert {pair.parent for pair in made} <= set(ids)
    assert [pair.target[1] for pair in made] == pytest.approx([0.5] * 6)
    assert [palette_of(pair.label, 4)[1] for pair in made] == pytest.approx([0.5] * 6, abs=0.02)
    again = make_pairs(ready, range(6), seed=5)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(made, again, strict=True))
