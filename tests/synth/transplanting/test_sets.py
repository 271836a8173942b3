"""Sets whose layouts are real ones with other objects in them."""

import numpy as np
import pytest
import torch

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools import verify
from synth.layouts.transplanting.bank import Bank
from synth.making import drawing, sets
from synth.making.sets import Artifacts, SetParams
from synth.palettes.controls import Controls
from synth.stages import fit_palette, produce, train_layout, train_painter
from synth.training.method import generator
from tests.synth import small
from tests.synth.transplanting.helpers import (
    CAR,
    SIGN,
    SIZE,
    fitted,
    street,
    write,
)

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


def test_pixels_of_objects_that_were_there_are_kept_too(folder, real):
    row = PLAIN.model_copy(update={"painter": "oasis"})
    donors, objects = (
        small.make_pairs(load(folder, row.model_copy(update={"keep": keep})), range(8), 3)
        for keep in ("donors", "objects")
    )
    plain = small.make_pairs(load(folder), range(8), seed=3)
    alphas = drawing_alpha(folder, range(8))
    for slot, pair in enumerate(plain):
        there = np.isin(pair.label, (CAR, SIGN)) & (alphas[slot] == 0)
        kept, painted = objects[slot].image, donors[slot].image
        assert there.any() and (pair.label == objects[slot].label).all()
        assert (kept[there] == pair.image[there]).all()
        assert (painted[there] != pair.image[there]).any()
        np.testing.assert_array_equal(kept[~there], painted[~there])


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
            {"layouts": "real", "painter": "oasis", "keep": "objects"},
            "layouts 'real' put none into real pairs; use transplant",
        ),
        ({"keep": "objects"}, "painter 'none', so that all pixels but .*; write `keep: true`"),
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
