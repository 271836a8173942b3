"""The stage that tunes end to end: what it leaves, what it starts from, what it refuses."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from synth.painters import PAINTERS
from synth.stages import fit_palette, paint_joint, produce, train_joint, train_layout, train_painter
from synth.training import artifact
from synth.training.method import Given
from tests.synth import small
from tests.synth.scenes import SIZE
from tests.synth.small import JOINED_LAYOUTS

LEARNT = {"semantic_palette": {"levels": [[0, 4, 4], [0, 4, 4]]}, "cgan": {"levels": [[0, 4, 4]]}}
LEARNT["spade"] = {"num_images": 4, "batch_size": 4, "num_doublings": 3, "max_channels": 12}
LEARNT["spade"] |= small.CODES
SHORT = {"num_images": 4, "warm_up_images": 0, "critic_width": 4}
STILL = dict.fromkeys((key for key in small.JOINT if key.endswith("_lr")), 1e-30)
SECTIONS = {
    "compute": small.FAST,
    "training": small.TRAINING | {"log_every": 1},
    "layouts": {
        "real": {},
        **{name: small.numbers(name, **LEARNT[name]) for name in ("semantic_palette", "cgan")},
    },
    "painters": {"spade": small.numbers("spade", **LEARNT["spade"])},
    "joints": {
        "e2e": small.JOINT | SHORT | {"warm_up_images": 4},
        "held": small.JOINT | SHORT | {"freeze_layout": True},
        "still": small.JOINT | SHORT | STILL,
        "spade": small.JOINT | SHORT,
    },
    "produce": {
        "batch_size": 2,
        "seed": 0,
        "repaint": {"num_layouts": 1, "num_images": 2},
    },
    "sets": {
        "palette": {"layouts": "semantic_palette", "painter": "spade", "num_pairs": 3},
        "tuned": {
            "layouts": "e2e",
            "painter": "e2e",
            "num_pairs": 3,
            "controls": {"absent": ["c"]},
        },
        "mixed": {"layouts": "real", "painter": "e2e", "num_pairs": 3},
    },
}


@pytest.fixture(scope="module")
def trained(labels, images, tmp_path_factory):
    """A folder with real pairs, palettes, layouts and a painter, all trained a little."""
    root = tmp_path_factory.mktemp("run")
    table = ClassTable(tuple(ClassInfo(name, (i, i, i)) for i, name in enumerate("abcd")))
    with ShardWriter(root / "train", classes=table, size=SIZE, fingerprint="f") as writer:
        for number, (label, image) in enumerate(zip(labels, images, strict=True)):
            writer.write(Pair(f"{number}", image, label, "real"))
    small.write_params(root, **SECTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("SCENE_PALETTE_SCRATCH", str(root / "scratch"))
        words = {"train": root / "train"}
        fit_palette.main(**words, out=root / "palette")
        words["palette"] = root / "palette"
        for name in SECTIONS["layouts"]:
            train_layout.main(method=name, **words, out=root / "layouts" / name)
        out = root / "painters" / "spade"
        train_painter.main(method="spade", train=root / "train", out=out)
    return root


@pytest.fixture
def place(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(trained / "scratch"))
    return trained


def tune(root, name, layout="semantic_palette"):
    train_joint.main(
        name=name,
        train=root / "train",
        palette=root / "palette",
        layout=root / "layouts" / layout,
        painter=root / "painters" / "spade",
        layout_out=root / "layouts" / name,
        painter_out=root / "painters" / name,
    )


def made(root, name, layouts, painter):
    produce.main(
        set=name,
        train=root / "train",
        palette=root / "palette",
        layout=root / "layouts" / layouts,
        painter=root / "painters" / painter,
        out=root / "pairs" / name,
        repainted=root / "repainted" / name,
    )
    pairs = PairSet(root / "pairs" / name)
    return pairs, list(pairs.pairs())


def test_sets_use_what_a_joint_made(place):
    tune(place, "e2e")
    assert not list((place / "scratch").glob("*"))
    described = artifact.describe(place / "layouts" / "e2e")
    assert (described.name, described.method) == ("e2e", "semantic_palette")
    for kind, base in (("layouts", "semantic_palette"), ("painters", "spade")):
        before, after = (
            load_file(place / kind / name / "weights.safetensors") for name in (base, "e2e")
        )
        assert {k: v.shape for k, v in before.items()} == {k: v.shape for k, v in after.items()}
        assert any(not torch.equal(before[key], after[key]) for key in before)
    pairs, tuned = made(place, "tuned", "e2e", "e2e")
    assert pairs.origin["tuned"]["painter"] == "e2e"
    assert len(tuned) == 3 and all((pair.label != 2).all() for pair in tuned)  # its controls hold
    _, mixed = made(place, "mixed", "real", "e2e")
    assert [pair.parent for pair in mixed] != [None] * 3
    _, plain = made(place, "palette", "semantic_palette", "spade")
    assert not np.array_equal(plain[0].image, tuned[0].image)


def test_the_bank_of_a_joint_holds_the_codes_of_its_own_encoder(place):
    tune(place, "e2e")
    real = PairSet(place / "train")
    images = torch.from_numpy(real.images(range(len(real)))).permute(0, 3, 1, 2).float()
    banks = []
    for name in ("spade", "e2e"):
        _, nets = artifact.load(place / "painters" / name, PAINTERS["spade"], Given(4, SIZE))
        codes, _ = nets["E"](images / 127.5 - 1)
        banks.append(nets["bank"].styles[:, 0])
        torch.testing.assert_close(banks[-1], codes, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(*banks, atol=1e-4)


def test_real_layouts_are_painted_before_and_after(place):
    tune(place, "e2e")
    painters, train = place / "painters", place / "train"

    def painted(name, before, after):
        out = place / "painted" / name
        places = {"pairs": train, "before": painters / before, "after": painters / after}
        paint_joint.main(name="e2e", **places, out=out)
        pairs = PairSet(out)
        return [list(pairs.pairs(pairs.select(source))) for source in ("before", "after")]

    real = list(PairSet(train).pairs())
    before, after = painted("a", "spade", "e2e")
    assert len(before) == len(after) == len(real)
    for one, other, pair in zip(before, after, real, strict=True):
        assert np.array_equal(one.label, pair.label) and np.array_equal(other.label, pair.label)
    assert any(
        not np.array_equal(one.image, two.image) for one, two in zip(before, after, strict=True)
    )
    swapped, same = painted("b", "e2e", "e2e")
    for one, two, other in zip(swapped, same, after, strict=True):
        assert np.array_equal(one.image, two.image), "the noise is the same in both"
        assert np.array_equal(two.image, other.image)


def test_a_frozen_layout_generator_is_handed_on_as_it_was(place):
    tune(place, "held")
    before, after = (
        load_file(place / "layouts" / name / "weights.safetensors")
        for name in ("semantic_palette", "held")
    )
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_critics_go_on_from_where_trainings_left_them(place):
    """With rates near 0 a joint without a warm-up ends with the critics that it began with."""
    tune(place, "still")
    for kind, base in (("layouts", "semantic_palette"), ("painters", "spade")):
        before, after = (
            load_file(place / kind / name / artifact.CRITICS) for name in (base, "still")
        )
        learnt = [key for key in before if not key.endswith(("._u", "._v"))]
        assert before.keys() == after.keys() and len(learnt) > 3
        assert all(torch.equal(before[key], after[key]) for key in learnt)


def test_an_artifact_without_its_critics_is_refused(place, tmp_path):
    there = place / "layouts" / "semantic_palette" / artifact.CRITICS
    there.rename(tmp_path / "away")
    try:
        with pytest.raises(UserError, match=r"semantic_palette holds no critics.safetensors"):
            tune(place, "e2e")
    finally:
        (tmp_path / "away").rename(there)


def test_production_reads_no_critics(place, tmp_path):
    there = place / "painters" / "spade" / artifact.CRITICS
    there.rename(tmp_path / "away")
    try:
        made(place, "palette", "semantic_palette", "spade")
    finally:
        (tmp_path / "away").rename(there)


def test_what_cannot_be_joined_is_said(place):
    for layout in ("real", "cgan"):
        can = ", ".join(JOINED_LAYOUTS)
        with pytest.raises(UserError, match=f"'{layout}' cannot be tuned end to end; use {can}"):
            tune(place, "e2e", layout=layout)
    with pytest.raises(UserError, match="cannot be called 'spade', as a painter is"):
        tune(place, "spade")
    with pytest.raises(UserError, match="unknown painter 'e2f'; there is none, spade"):
        wrong = SECTIONS["sets"]["tuned"] | {"painter": "e2f"}
        small.write_params(place, **SECTIONS | {"sets": {"tuned": wrong}})
        try:
            made(place, "tuned", "semantic_palette", "e2f")
        finally:
            small.write_params(place, **SECTIONS)
