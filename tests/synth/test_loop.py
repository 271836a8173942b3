"""The loop: exact resume, frozen networks, averages that equal their network, no silent NaN."""

from collections.abc import Container
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from data.pairs.batches import Stream, onehot
from synth.training import artifact, ema
from synth.training.loop import CHECKPOINT, Diverged, Options, train
from synth.training.method import AdamConfig, Phase, Span, generator, randn
from synth.training.plan import Plan


class Painter(nn.Module):
    """A layer of everything that holds state: weights, batch norm, spectral norm."""

    def __init__(self):
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(5, 8, 3, padding=1))
        self.norm = nn.BatchNorm2d(8)
        self.rgb = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.rgb(torch.relu(self.norm(self.conv(x))))


@dataclass
class Toy:
    """A small adversarial method with two phases that share a fake."""

    lr: float = 1e-3
    poison: Container = ()
    spans: tuple = (Span(16, 4, fade=True), Span(24, 8, level=1))
    nets: nn.ModuleDict = field(init=False)

    def __post_init__(self):
        torch.manual_seed(0)
        self.nets = nn.ModuleDict({"G": Painter(), "D": spectral_norm(nn.Conv2d(3, 1, 3))})
        adam = AdamConfig(self.lr, (0.0, 0.9))
        self.optimizers = {"G": adam, "D": adam}
        self.generators, self.critics, self.kept = ("G",), ("D",), {"G": 0.9}
        self.seen = []

    def phases(self, batch, progress):
        self.seen.append((progress.step, progress.images, progress.level, progress.alpha))
        made = {}

        def generate():
            noise = torch.randn(len(batch.label), 2, 4, 8, generator=progress.rng)
            made["fake"] = self.nets["G"](torch.cat([onehot(batch.label, 3), noise], 1))
            scale = float("nan") if progress.step in self.poison else 1.0
            return {"hinge": -self.nets["D"](made["fake"]).mean() * scale}

        def judge():
            real, fake = self.nets["D"](batch.image), self.nets["D"](made["fake"].detach())
            return {"real": torch.relu(1 - real).mean(), "fake": torch.relu(1 + fake).mean()}

        yield Phase("G", generate, ("G",))
        yield Phase("D", judge, ("D",))

    def request(self, batch, rng):
        return onehot(batch.label, 3)

    def sample(self, nets, request, rngs):
        return nets["G"](torch.cat([request, randn(rngs, (2, 4, 8))], 1))


def make_stream():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 3, 4, 8), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, 3, (6, 4, 8), generator=rng, dtype=torch.uint8)
    return Stream(images, labels, seed=0, flip=True, mirrored=range(255))


def run(method, folder, **options):
    return train(
        method,
        make_stream(),
        seed=3,
        checkpoint_dir=folder,
        label="toy",
        device=torch.device("cpu"),
        options=Options(**{"save_every": 2, "log_every": 2, **options}),
    )


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_at", [3, 4, 6])
def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(tmp_path, killed_at):
    straight, straight_curve = run(Toy(), tmp_path / "straight")

    method = Toy()
    phases = method.phases

    def dying(batch, progress):
        if progress.step == killed_at:
            raise Killed
        return phases(batch, progress)

    method.phases = dying
    with pytest.raises(Killed):
        run(method, tmp_path / "killed")
    again = Toy()
    torch.manual_seed(99)  # whatever the global generator holds must not matter
    resumed, resumed_curve = run(again, tmp_path / "killed")
    assert again.seen[0][0] == killed_at // 2 * 2
    assert straight_curve == resumed_curve
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_schedule_counts_images_through_spans_and_fades(tmp_path):
    method = Toy()
    run(method, tmp_path)
    assert method.seen == [
        (0, 0, 0, 0.0),
        (1, 4, 0, 0.25),
        (2, 8, 0, 0.5),
        (3, 12, 0, 0.75),
        (4, 16, 1, 1.0),
        (5, 24, 1, 1.0),
        (6, 32, 1, 1.0),
    ]


def test_spans_are_rounded_up_to_whole_batches():
    plan = Plan((Span(5, 4), Span(1, 3)))
    assert (plan.num_steps, plan.num_images) == (3, 11)


@pytest.mark.parametrize(("phase", "still"), [("G", "D"), ("D", "G")])
def test_a_phase_moves_only_its_networks(tmp_path, phase, still):
    method = Toy(spans=(Span(4, 4),))
    phases = method.phases

    def only(batch, progress):
        for one in phases(batch, progress):
            yield one if one.name == phase else Phase(one.name, one.loss, one.train, ())

    before = {name: p.clone() for name, p in method.nets.named_parameters()}
    method.phases = only
    run(method, tmp_path)
    moved = {n.split(".")[0] for n, p in method.nets.named_parameters() if not p.equal(before[n])}
    assert moved == {phase}
    assert still not in moved


def test_the_average_of_a_constant_network_is_the_network(tmp_path):
    method = Toy(lr=0.0, spans=(Span(400, 4),))
    averaged, _ = run(method, tmp_path, save_every=1000)
    live = nn.ModuleDict({"G": method.nets["G"]}).eval()
    condition = onehot(make_stream().batch(0, 4).label, 3)
    rngs = [[generator(9, i) for i in range(4)] for _ in range(2)]
    with torch.no_grad():
        pictures = [
            method.sample(n, condition, r) for n, r in zip((live, averaged), rngs, strict=True)
        ]
    # spectral norm agrees closely; the running means of batch norm only estimate the same thing
    torch.testing.assert_close(
        averaged["G"].conv.weight, live["G"].conv.weight, rtol=5e-3, atol=1e-3
    )
    torch.testing.assert_close(pictures[0], pictures[1], rtol=0.1, atol=0.1)


class Bank(nn.Module):
    """What training notes without a gradient, such as the styles of the pairs shown."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shown", torch.zeros(6))


def test_a_bank_in_buffers_is_kept_as_it_was_last(tmp_path):
    method = Toy()
    method.nets["bank"] = Bank()
    method.kept = {"G": 0.9, "bank": 0.0}
    phases = method.phases

    def noting(batch, progress):
        method.nets["bank"].shown[batch.row] += 1
        return phases(batch, progress)

    method.phases = noting
    kept, _ = run(method, tmp_path)
    assert set(kept) == {"G", "bank"}
    assert kept["bank"].shown.sum() > 0, "batches say which pairs they hold"
    assert torch.equal(kept["bank"].shown, method.nets["bank"].shown)


def test_without_an_average_the_last_weights_are_kept(tmp_path):
    method = Toy()
    method.kept = {"G": 0.0}
    kept, _ = run(method, tmp_path)
    last = dict(method.nets["G"].named_parameters())
    assert last and all(torch.equal(p, last[name]) for name, p in kept["G"].named_parameters())


def test_a_method_may_have_no_critic(tmp_path):
    method = Toy()
    del method.nets["D"], method.optimizers["D"]
    method.critics = ()

    def alone(batch, progress):
        def paint():
            noise = torch.randn(len(batch.label), 2, 4, 8, generator=progress.rng)
            fake = method.nets["G"](torch.cat([onehot(batch.label, 3), noise], 1))
            return {"l1": (fake - batch.image).abs().mean()}

        yield Phase("G", paint, ("G",))

    method.phases = alone
    kept, curve = run(method, tmp_path)
    assert set(kept) == {"G"} and set(curve[0]) == {"images", "G/l1"}
    assert not len(artifact.critics_of(method))


def test_refreshed_spectral_norm_has_norm_one_although_weights_moved():
    net = nn.ModuleDict({"G": Painter()})
    averaged = ema.averaged_copy(net, {"G": 0.5})
    with torch.no_grad():
        averaged["G"].conv.parametrizations.weight.original.normal_(
            generator=torch.Generator().manual_seed(1)
        )
    picture = torch.ones(2, 5, 4, 8)
    ema.refresh(averaged, _passes(averaged, picture))
    weight = averaged["G"].conv.weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)


def _passes(averaged, picture):
    for _ in range(4):
        averaged["G"](picture)
        yield


def test_a_step_that_is_not_finite_is_skipped(tmp_path):
    method = Toy(poison=range(2, 3))
    averaged, curve = run(method, tmp_path)
    assert all(torch.isfinite(p).all() for p in averaged.parameters())
    assert len(curve) == 4


def test_a_loss_that_is_not_finite_moves_nothing_although_its_gradient_is(tmp_path):
    method = Toy(spans=(Span(4, 4),))
    phases = method.phases

    def infinite(batch, progress):
        for one in phases(batch, progress):
            loss = one.loss
            yield Phase(
                one.name, lambda loss=loss: {**loss(), "x": torch.tensor(torch.inf)}, one.train
            )

    before = {name: p.clone() for name, p in method.nets.named_parameters()}
    method.phases = infinite
    with pytest.raises(
        Diverged, match=r"not finite in step 0, the last one, so the weights may be"
    ):
        run(method, tmp_path)
    assert all(torch.equal(p, before[name]) for name, p in method.nets.named_parameters())


def test_training_that_stays_broken_stops_naming_phase_and_term(tmp_path):
    with pytest.raises(
        Diverged, match=r"G/hinge.* not finite in step 4, .* 3 such.*checkpoint\.pt"
    ):
        run(Toy(poison=range(2, 99)), tmp_path, max_skipped=2)
    # Steps 2 and 3 were broken: the checkpoint that was due after them was not written.
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert (kept["state"]["step"], kept["state"]["skipped"]) == (2, 0)
    assert all(value.isfinite().all() for value in kept["nets"].values())


def test_training_that_breaks_now_and_then_stops_too_also_when_resumed(tmp_path):
    """What heals in between is no less wrong: 2 of these 3 steps may be skipped."""
    broken = (0, 2, 5)
    with pytest.raises(Diverged, match=r"not finite in step 5, which makes 3 such steps"):
        run(Toy(poison=broken), tmp_path / "straight", max_skipped=2)
    method = Toy(poison=broken)
    phases = method.phases

    def dying(batch, progress):
        if progress.step == 4:
            raise Killed
        return phases(batch, progress)

    method.phases = dying
    with pytest.raises(Killed):
        run(method, tmp_path / "killed", max_skipped=2)
    with pytest.raises(Diverged, match=r"not finite in step 5, which makes 3 such steps"):
        run(Toy(poison=broken), tmp_path / "killed", max_skipped=2)


def test_nothing_may_be_skipped(tmp_path):
    with pytest.raises(Diverged, match=r"G/hinge.* not finite in step 0, .*no checkpoint yet"):
        run(Toy(poison=(0,)), tmp_path, max_skipped=0)
