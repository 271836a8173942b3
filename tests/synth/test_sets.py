"""Making pairs: a pair depends on models, set, seed and index, and on nothing else."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from synth.layouts import LAYOUTS
from synth.layouts.common.edits import Edits
from synth.making import drawing, sets
from synth.making.looks import StyleLaw
from synth.making.sets import Artifacts, SetParams
from synth.palettes import palette
from synth.palettes.controls import Controls
from synth.stages import produce
from synth.training import artifact
from tests.synth import small
from tests.synth.small import EDITORS, make_pairs

CLASSES = ClassTable(tuple(ClassInfo(name, (0, 0, 0)) for name in ("road", "sky", "car", "void")))
SIZE = (32, 64)
ROWS = {
    "semi": SetParams(layouts="real", painter="oasis", num_pairs=5),
    "palette": SetParams(layouts="semantic_palette", painter="oasis", num_pairs=5),
    "partial": SetParams(layouts="partial_palette", painter="oasis", num_pairs=5),
}


def scene(index):
    rng = np.random.default_rng(index)
    label = np.zeros(SIZE, np.uint8)
    label[: int(rng.integers(8, 20))] = 1
    left = int(rng.integers(0, 48))
    label[22:28, left : left + 12] = 2
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Pair(f"scene-{index}", image, label, "real")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Real pairs, a fitted palette, and networks as initialised: producing needs no training."""
    root = tmp_path_factory.mktemp("artifacts")
    with ShardWriter(root / "train", classes=CLASSES, size=SIZE, fingerprint="f") as writer:
        for index in range(10):
            writer.write(scene(index))
    real = PairSet(root / "train")
    model, _ = palette.fit(
        real.column("palette"),
        min_components=1,
        max_components=2,
        covariance_floor=1e-3,
        projection="simplex",
        min_share=0.0,
        seed=0,
    )
    model.save(root / "palette", {})
    torch.manual_seed(0)
    for name in (*LAYOUTS, "oasis", "regions"):
        small.write_artifact(root / name, name, CLASSES, SIZE, model, train=root / "train")
    masks = {"band": 0.4, "classes": 0.3, "switch": 0.3}
    for name in EDITORS:
        small.write_artifact(root / "editor", name, CLASSES, SIZE, model, masks=masks)
    return root


def load(folder, name, row=None, layout=None, painter=None):
    row = row or ROWS[name]
    where = (folder / "palette", folder / (layout or row.layouts), painter or folder / row.painter)
    real = PairSet(folder / "train")
    return sets.load(name, row, real, Artifacts(*where), device=torch.device("cpu"))


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


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"painter": "none"}, "draw no images; name a painter, or use transplant .* are a row"),
        ({"painter": "oasiss"}, "unknown painter 'oasiss'; there is"),
        ({"layouts": "semanticpalette"}, "unknown layout method"),
    ],
)
def test_a_set_that_cannot_be_made_is_refused(folder, row, message):
    wrong = ROWS["semi"].model_copy(update=row)
    with pytest.raises(UserError, match=message):
        load(folder, "semi", wrong)


def test_an_artifact_of_other_classes_is_refused(folder, tmp_path):
    ready = artifact.describe(folder / "oasis")
    other = replace(ready, classes=ClassTable(CLASSES.classes[:3]))
    artifact.write(tmp_path, other, None)
    with pytest.raises(UserError, match="other classes or at another size"):
        load(folder, "semi", painter=tmp_path)


def test_controls_reach_the_palettes_that_layouts_are_asked_for(folder):
    row = ROWS["palette"].model_copy(update={"controls": Controls(at_least={"car": 0.2})})
    made = make_pairs(load(folder, "palette", row), range(4), seed=5)
    plain = make_pairs(load(folder, "palette"), range(4), seed=5)
    assert min(pair.target[2] for pair in made) >= 0.2 - 1e-6
    assert max(pair.target[2] for pair in plain) < 0.2
    achieved = [palette_of(pair.label, 4)[2] for pair in made]
    assert min(achieved) > 0.15


@pytest.mark.parametrize("name", ["semi", "partial"])
def test_controls_are_refused_where_layouts_follow_no_palette(folder, name):
    row = ROWS[name].model_copy(update={"controls": Controls(absent=["void"])})
    with pytest.raises(UserError, match=r"follow no palette; use .*semantic_palette"):
        load(folder, name, row)


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


def test_edits_are_refused_where_layouts_are_no_edits(folder):
    row = ROWS["semi"].model_copy(update={"edits": Edits(remove=["car"])})
    with pytest.raises(UserError, match=r"are not edits of real ones; use partial_palette"):
        load(folder, "semi", row)
    row = ROWS["partial"].model_copy(update={"edits": Edits(remove=["car"])})
    with pytest.raises(UserError, match=r"trained without.*masks\.classes"):
        load(folder, "partial", row)


# == looks ==


def styled(style, layouts="real"):
    return SetParams(layouts=layouts, painter="regions", num_pairs=5, style=style)


@pytest.mark.parametrize("style", [None, "own", "one", "mixed", "sampled"])
def test_a_pair_is_painted_in_the_look_that_its_set_asks_for(folder, style, monkeypatch):
    ready, asked = load(folder, "semi", styled(style)), []
    sample = type(ready.painter).sample
    monkeypatch.setattr(
        type(ready.painter),
        "sample",
        lambda self, nets, request, rngs: (
            asked.append(request.style) or sample(self, nets, request, rngs)
        ),
    )
    pairs = small.make_pairs(ready, range(8), seed=5)
    again = small.make_pairs(ready, range(8), seed=5, again=1)
    ids = [f"scene-{index}" for index in range(10)]
    if style in (None, "own", "one"):
        assert [pair.style for pair in pairs] == [ids[row] for row in asked[0]]
        own = [pair.style == pair.parent for pair in pairs]
        assert all(own) if style == "own" else not any(own)
        assert style == "own" or len({pair.style for pair in pairs}) > 3
    else:
        assert {pair.style for pair in pairs} == {None}
        assert asked[0].shape == {"mixed": (8, 4), "sampled": (8, 4, 9)}[style]
        assert len(asked[0].flatten(1).unique(dim=0)) == 8
        assert len(asked[0].unique(dim=1)[0]) > 1, "each class is drawn by itself"
    same_look = torch.equal(asked[0], asked[1])
    assert same_look == (style == "own"), "it is painted again in another look"
    alone = small.make_pairs(load(folder, "semi", styled(style)), [3], seed=5)[0]
    assert alone.style == pairs[3].style and torch.equal(asked[2][0], asked[0][3])
    assert (alone.image.astype(int) - pairs[3].image).max() <= 1
    assert [pair.parent for pair in again] == [pair.parent for pair in pairs]


def test_new_layouts_are_painted_in_any_look_and_have_no_parent(folder):
    ready = load(folder, "palette", styled("one", "semantic_palette"))
    pairs = small.make_pairs(ready, range(8), seed=5)
    assert {pair.parent for pair in pairs} == {None}
    assert len({pair.style for pair in pairs}) > 3


def test_a_style_is_asked_for_in_words_and_only_then_part_of_what_a_set_is_made_of():
    assert styled("mixed").describe()["style"] == "mixed"
    assert styled("mixed").made_of()["style"] == "mixed"
    assert "style" not in {**styled(None).describe(), **styled(None).made_of()}


def test_styles_that_cannot_be_had_are_refused(folder):
    with pytest.raises(UserError, match="'oasis' takes none; use regions or remove `style`"):
        load(folder, "semi", ROWS["semi"].model_copy(update={"style": "one"}))
    with pytest.raises(UserError, match="no real ones with a look of their own; use one, mixed"):
        load(folder, "palette", styled("own", "semantic_palette"))


def test_a_bank_of_another_set_is_refused(folder, tmp_path):
    small.write_artifact(tmp_path, "regions", CLASSES, SIZE, num_looks=3)
    with pytest.raises(UserError, match="looks of 3 pairs, the real set has 10; train the painter"):
        load(folder, "semi", styled("one"), painter=tmp_path)


@pytest.mark.parametrize("count", [0, 1, 2, 250])
def test_sampled_styles_have_the_law_of_those_that_there_are(count):
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 2, (count, 1))
    styles = (sides * 6 + rng.normal(0, 0.5, (count, 5))).astype(np.float32)
    law = StyleLaw.fit(styles)
    drawn = np.stack([law.draw(np.random.default_rng(seed)) for seed in range(400)])
    if count < 2:
        assert np.array_equal(drawn, np.repeat(styles if count else np.zeros((1, 5)), 400, 0))
        return
    assert (drawn >= styles.min(0)).all() and (drawn <= styles.max(0)).all()
    if count == 250:
        np.testing.assert_allclose(drawn.mean(0), styles.mean(0), atol=0.6)
        np.testing.assert_allclose(drawn.std(0), styles.std(0), rtol=0.15)
        assert len(law.weights) == 3
        assert ((drawn[:, 0] > 3) == (drawn[:, 4] > 3)).all(), "one side at a time"


# == real pixels that stay ==


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
            return torch.zeros(len(rngs), 3, *SIZE)

    for keep in (False, True):
        row = ROWS["partial"].model_copy(update={"keep": keep})
        pairs = make_pairs(replace(load(folder, "partial", row), painter=Painter()), [3], 5)
    assert asked[0].around is None
    (pair,), around = pairs, asked[1].around
    parent = next(p for p in PairSet(folder / "train").pairs() if p.id == pair.parent)
    np.testing.assert_array_equal(around.mask[0].numpy(), ~pair.edited)
    shown = ((around.image[0].permute(1, 2, 0) + 1) * 127.5).round().byte()
    np.testing.assert_array_equal(shown.numpy(), parent.image)


@pytest.mark.parametrize("name", ["semi", "palette"])
def test_nothing_is_kept_where_layouts_are_no_edits(folder, name):
    row = ROWS[name].model_copy(update={"keep": True})
    with pytest.raises(
        UserError, match=r"keeps real pixels, but .* use partial_palette, transplant or remove"
    ):
        load(folder, name, row)


def test_making_reads_no_real_image_unless_pixels_are_kept(folder, monkeypatch):
    monkeypatch.setattr("data.pairs.pairset.decode_image", lambda *_: 1 / 0)
    assert len(make_pairs(load(folder, "partial"), range(4), seed=5)) == 4
    kept = load(folder, "partial", ROWS["partial"].model_copy(update={"keep": True}))
    with pytest.raises(ZeroDivisionError):
        make_pairs(kept, range(4), seed=5)


def test_a_set_says_in_words_what_makes_it():
    row = ROWS["partial"]
    assert row.describe() == {"layouts": "partial_palette", "painter": "oasis"}
    row = row.model_copy(update={"keep": True, "edits": Edits(remove=["car"])})
    assert row.describe() == {
        **{"layouts": "partial_palette", "painter": "oasis"},
        **{"keep": "true", "edits": "without car"},
    }
