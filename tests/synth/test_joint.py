"""End-to-end fine-tuning: which gradient goes where, the warm-up, exact resume, the whole stage."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from data.pairs.batches import Stream
from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair, palette_of
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from synth.joints import joint
from synth.nets.losses import Perceptual
from synth.palettes.palette import fit
from synth.stages import fit_palette, paint_joint, produce, train_joint, train_layout, train_painter
from synth.training import artifact
from synth.training.loop import Options, train
from synth.training.method import Given, Losses, PaintRequest, Progress, generator
from tests.synth import small
from tests.synth.small import JOINED_LAYOUTS, JOINED_PAINTERS

C, SIZE, BATCH = 4, (16, 32), 4
SETTINGS = {"levels": ((0, 8, 4), (4, 8, 4), (4, 8, 4)), "hidden": 4}
SETTINGS |= {"num_images": 8, "batch_size": 4, "num_doublings": 3, "max_channels": 12}
JOINED = {"num_images": 12, "batch_size": BATCH, "warm_up_images": 8, "critic_width": 4}


@pytest.fixture(scope="module")
def labels():
    """Layouts with a sky above a road, and a block of class 2 on one side."""
    rng = np.random.default_rng(0)
    label = np.zeros((12, *SIZE), np.uint8)
    for item in label:
        item[rng.integers(6, 12) :] = 1
        left = rng.integers(0, 24)
        item[4:10, left : left + 8] = 2
    return label


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (12, *SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def palettes(labels):
    options = {"min_components": 1, "max_components": 1, "covariance_floor": 1e-3}
    return fit(palette_of(labels, C), **options, projection="simplex", min_share=0.0, seed=0)[0]


@pytest.fixture
def stream(labels, images):
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return Stream(pixels, torch.from_numpy(labels), seed=0, flip=True, mirrored=range(255))


@pytest.fixture
def build(palettes):
    def make(layout="semantic_palette", painter="spade", perceptual=False, **changes):
        torch.manual_seed(0)
        given = Given(C, SIZE, palettes)
        laying, painting = (
            small.build(name, given, **small.known(name, **SETTINGS)) for name in (layout, painter)
        )
        if perceptual:
            painting = replace(painting, perceptual=Perceptual())
        return joint.build(small.joint_config(**{**JOINED, **changes}), laying, painting)

    return make


def at(images=8, level=2):
    return Progress(images // BATCH, images, 20, level, 1.0, generator(0, images))


def reached(method, term):
    """Return the networks that the gradient of one term reaches, whatever a phase trains."""
    found = set()
    for name, net in method.nets.items():
        grads = torch.autograd.grad(
            term, list(net.parameters()), retain_graph=True, allow_unused=True
        )
        if any(grad is not None and bool(grad.any()) for grad in grads):
            found.add(name)
    return found


@pytest.mark.parametrize("layout", JOINED_LAYOUTS)
def test_only_the_second_critic_speaks_to_both_generators(layout, build, stream):
    """Acceptance test (h): its gradient reaches the layout generator, that of VGG does not."""
    method = build(layout, perceptual=layout == "semantic_palette")
    phase, _ = method.phases(stream.batch(0, BATCH), at())
    assert phase.train == ("layout_G", "painter_G")
    terms = phase.loss()
    assert reached(method, terms.pop("D2")) == {"layout_G", "painter_G", "D2"}
    alone = {"hinge", "feature_matching", "perceptual"}
    assert {f"painter_{name}" for name in alone if name != "perceptual"} <= set(terms)
    assert ("painter_perceptual" in terms) == (layout == "semantic_palette")
    for name, term in terms.items():
        kind = name.partition("_")[0]
        assert f"{kind}_G" in reached(method, term) <= {f"{kind}_G", f"{kind}_D"}, name


@pytest.mark.parametrize("layout", JOINED_LAYOUTS)
@pytest.mark.parametrize("painter", JOINED_PAINTERS)
def test_every_phase_moves_its_networks_and_losses_are_finite(layout, painter, build, stream):
    method = build(layout, painter)
    learning = {name for name, net in method.nets.items() if any(True for _ in net.parameters())}
    assert set(method.optimizers) == learning
    seen = []
    for phase in method.phases(stream.batch(0, BATCH), at()):
        for name, net in method.nets.items():
            net.requires_grad_(name in phase.train)
            net.zero_grad(set_to_none=True)
        terms = phase.loss()
        assert all(term.dim() == 0 and torch.isfinite(term) for term in terms.values())
        sum(terms.values()).backward()
        for name, net in method.nets.items():
            moved = any(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
            assert moved == (name in phase.train), (phase.name, name)
        seen += phase.train
    assert sorted(seen) == sorted(learning)


def test_the_painter_is_shown_layouts_as_the_critic_sees_them(build, stream):
    batch = stream.batch(0, BATCH)
    soft, hard = (build(name).layout for name in ("semantic_palette", "sbgan"))
    blurred, onehot = (m.real(batch.label, SIZE) for m in (soft, hard))
    assert torch.equal(blurred.argmax(1), batch.label) and torch.equal(
        onehot.argmax(1), batch.label
    )
    assert bool(((blurred > 0) & (blurred < 0.99)).any()) and set(onehot.unique().tolist()) == {
        0,
        1,
    }
    seen = []
    for layout in (soft, hard):
        losses = layout.losses(batch, at())
        losses.generator()
        seen.append(layout.full(losses.made[0]))
    assert bool(((seen[0] > 0.01) & (seen[0] < 0.99)).any())
    assert set(seen[1].detach().unique().tolist()) == {0, 1}


def test_weights_multiply_their_terms(build, stream):
    found = []
    for changes in ({}, {"layout_weight": 10.0, "image_critic_weight": 0.1}):
        phases = build(**changes).phases(stream.batch(0, BATCH), at())
        found.append({p.name: p.loss() for p in phases})
    for phase, terms in found[0].items():
        for name, term in terms.items():
            factor = 10.0 if name == "D2" or name.startswith("layout_") else 1.0
            torch.testing.assert_close(factor * term, found[1][phase][name])


def run(method, stream, folder, **options):
    words = {"seed": 3, "label": "joint", "device": torch.device("cpu")}
    return train(
        method,
        stream,
        checkpoint_dir=folder,
        options=Options(save_every=1, log_every=1, **options),
        **words,
    )


def weights(method):
    return {name: p.detach().clone() for name, p in method.nets.named_parameters()}


def moved(method, before):
    return {n.split(".")[0] for n, p in method.nets.named_parameters() if not p.equal(before[n])}


def test_generators_stand_still_while_critics_warm_up(build, stream, tmp_path):
    method = build()
    forever = method.config.model_copy(update={"warm_up_images": 99})
    method = replace(method, config=forever)  # and nothing else
    before = weights(method)
    run(method, stream, tmp_path)
    assert moved(method, before) == {"layout_D", "painter_D", "D2"}
    assert [[p.name for p in build().phases(stream.batch(0, 4), at(n))] for n in (7, 8)] == [
        ["critics"],
        ["generators", "critics"],
    ]


def test_a_frozen_layout_generator_stays_and_so_does_its_critic(build, stream, tmp_path):
    method = build(freeze_layout=True)
    before = weights(method)
    nets, curve = run(method, stream, tmp_path)
    assert moved(method, before) == {"painter_G", "painter_D", "D2"}
    assert set(nets) == {"painter_G"}
    assert not [name for point in curve for name in point if "layout_" in name]


@pytest.mark.parametrize("killed_at", [1, 3])
def test_resume_is_exact(killed_at, build, stream, tmp_path):
    class Killed(Exception):
        pass

    class Dying:
        def batch(self, position, size):
            if position >= killed_at * BATCH:
                raise Killed
            return stream.batch(position, size)

    straight, curve = run(build(), stream, tmp_path / "straight")
    with pytest.raises(Killed):
        run(build(), Dying(), tmp_path / "killed")
    torch.rand(7)  # the global generator must not matter
    resumed, again = run(build(), stream, tmp_path / "killed")
    assert curve == again
    assert set(straight) == {"layout_G", "painter_G"}
    for key, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


def test_halves_of_the_curve_have_each_term_once(build, stream, tmp_path):
    _, curve = run(build(), stream, tmp_path)
    halves = [joint.part_of_curve(curve, kind) for kind in (joint.LAYOUT, joint.PAINTER)]
    for whole, layout, painter in zip(curve, *halves, strict=True):
        assert {**layout, **painter} == whole and set(layout) & set(painter) == {"images"}
    assert "critics/D2" in halves[1][-1] and "generators/layout_spread" in halves[0][-1]


class NoCritic:
    """A painter that learns from the real image alone, and keeps a bank besides its generators."""

    def __init__(self, method):
        self.method, self.given, self.spans = method, method.given, method.spans
        self.nets = nn.ModuleDict(
            {"E": nn.Conv2d(C, C, 1), "G": method.nets["G"], "bank": nn.BatchNorm2d(C)}
        )
        self.generators, self.critics, self.kept = ("E", "G"), (), {"E": 0.0, "G": 0.0, "bank": 0.0}

    def request(self, batch, rng):
        return PaintRequest(batch.label)

    def sample(self, nets, request, rngs):
        layout = nets["bank"](nets["E"](request.planes(C)))
        return nets["G"](layout)

    def losses(self, batch, layout, progress):
        made = []

        def generator_loss():
            made.append(self.sample(self.nets, PaintRequest(layout), []))
            return {"l1": (made[0] - batch.image).abs().mean()}

        return Losses(generator_loss, dict, made)


@pytest.mark.parametrize("freeze", [False, True])
def test_any_number_of_generators_and_no_critic_can_be_joined(freeze, build, stream, tmp_path):
    whole = build()
    config = whole.config.model_copy(update={"freeze_layout": freeze})
    method = joint.build(config, whole.layout, NoCritic(whole.painter))
    assert method.critics == (("D2",) if freeze else ("D2", "layout_D"))
    before = weights(method)
    nets, curve = run(method, stream, tmp_path)
    learnt = {"painter_E", "painter_G", "D2"} | (set() if freeze else {"layout_G", "layout_D"})
    assert moved(method, before) == learnt, "the bank, which nobody trains, stays"
    assert {"painter_E", "painter_G", "painter_bank"} <= set(nets)
    assert "generators/painter_l1" in curve[-1]


# -- stage ----------------------------------------------------------------------------------------

LEARNT = {"semantic_palette": {"levels": [[0, 4, 4], [0, 4, 4]]}, "cgan": {"levels": [[0, 4, 4]]}}
LEARNT["spade"] = {"num_images": 4, "batch_size": 4, "num_doublings": 3, "max_channels": 12}
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
