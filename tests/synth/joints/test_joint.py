"""End-to-end fine-tuning: which gradient goes where, the warm-up, exact resume."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from synth.joints import joint
from synth.training.loop import Options, train
from synth.training.method import Losses, PaintRequest, Progress, generator
from tests.synth.scenes import SIZE
from tests.synth.small import JOINED_LAYOUTS, JOINED_PAINTERS

C, BATCH = 4, 4


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
