"""The baselines of Semantic Palette's tables: two conditional GANs and SB-GAN's layouts."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data.pairs.batches import onehot
from data.pairs.pair import palette_of
from synth.layouts import LAYOUTS
from synth.layouts.common.activation import gumbel_onehot, plain
from synth.layouts.common.losses import blur_line, kl_argmax, real_layout, recovery, soften
from synth.training.loop import train
from synth.training.method import Given, Progress, generator
from tests.synth import small
from tests.synth.scenes import law_of, stream_of

C, SIZE = 3, (8, 16)
NAMES = ("cgan", "palette_recovery", "sbgan")
ASKED = tuple(name for name in NAMES if LAYOUTS[name].follows_palette)
SMALL = {"width": 16, "levels": ((0, 16, 8), (8, 8, 8))}


@pytest.fixture(scope="module")
def labels():
    """A sky of 1 to 7 rows above a road, and a block of class 2 of 1 to 11 columns."""
    rng = np.random.default_rng(0)
    label = np.zeros((64, *SIZE), np.uint8)
    for item in label:
        item[rng.integers(1, 8) :] = 1
        item[1:7, 2 : 2 + rng.integers(1, 12)] = 2
    return label


@pytest.fixture(scope="module")
def palettes(labels):
    return law_of(palette_of(labels, C), min_share=1e-3)


@pytest.fixture
def build(palettes):
    def make(name, **changes):
        torch.manual_seed(0)
        return small.build(name, Given(C, SIZE, palettes), **{**SMALL, **changes})

    return make


@pytest.fixture
def stream(labels):
    return stream_of(labels, flip=False)


@pytest.fixture
def batch(labels):
    return small.batch_of(torch.zeros(4, 3, *SIZE), torch.from_numpy(labels[:4]).long())


def at(level=1, alpha=1.0, step=0):
    return Progress(step, 0, 1, level, alpha, generator(0, step))


def terms_of(method, batch, progress):
    """Run the phases without stepping and return their terms by phase."""
    found = {}
    for phase in method.phases(batch, progress):
        for name, net in method.nets.items():
            net.requires_grad_(name in phase.train)
        found[phase.name] = phase.loss()
    return found


# -- pieces ---------------------------------------------------------------------------------------


def test_plain_layouts_are_the_softmax_of_every_pixel():
    logits = torch.tensor([0.0, math.log(3.0)]).view(1, 2, 1, 1).expand(1, 2, 4, 8)
    found = plain(logits.bfloat16(), torch.empty(1, 0))
    torch.testing.assert_close(
        found.soft[0, :, 2, 3], torch.tensor([0.25, 0.75]), atol=1e-3, rtol=0
    )
    assert found.soft.dtype == torch.float32


def test_gumbel_draws_classes_as_often_as_they_are_probable():
    soft = torch.tensor([0.7, 0.25, 0.05, 0.0]).view(1, 4, 1, 1).expand(1, 4, 100, 200)
    for temperature in (0.5, 1.0):
        drawn = gumbel_onehot(soft, temperature, generator(0))
        assert bool(((drawn == 0) | (drawn == 1)).all()) and bool((drawn.sum(1) == 1).all())
        often = drawn.mean((0, 2, 3))
        torch.testing.assert_close(often, soft[0, :, 0, 0], atol=0.01, rtol=0)
    again = gumbel_onehot(soft, 1.0, generator(0))
    assert torch.equal(again, drawn) and not torch.equal(
        again, gumbel_onehot(soft, 1.0, generator(1))
    )


def test_gumbel_has_the_gradient_of_the_relaxed_draw():
    """For two classes the relaxed draw is sigmoid((ln m0 - ln m1 + noise) / T)."""
    soft = torch.tensor([0.6, 0.4]).view(1, 2, 1, 1).repeat(1, 1, 3, 5).requires_grad_(True)
    temperature = 0.7
    drawn = gumbel_onehot(soft, temperature, generator(3))
    drawn[:, 0].sum().backward()
    noise = -torch.empty(1, 2, 3, 5).exponential_(generator=generator(3)).log()
    score = (soft.detach() + 1e-5).log() + noise
    s = torch.sigmoid((score[:, 0] - score[:, 1]) / temperature)
    expected = s * (1 - s) / temperature
    torch.testing.assert_close(soft.grad[:, 0], expected / (0.6 + 1e-5))
    torch.testing.assert_close(soft.grad[:, 1], -expected / (0.4 + 1e-5))


def test_recovery_closed_form():
    even = torch.full((2, 2, 4, 4), 0.5)
    share = torch.tensor([[0.5, 0.5], [1.0, 0.0]])  # KL 0 and ln 2
    assert float(recovery(even, share)) == pytest.approx(math.log(2) / 2, abs=1e-4)
    halves = torch.zeros(1, 2, 4, 4)
    halves[:, 0, :1], halves[:, 1, 1:] = 1, 1  # shares 1/4 and 3/4, wherever they are
    wanted = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(recovery(halves, torch.full((1, 2), 0.5))) == pytest.approx(wanted, abs=1e-4)


def test_measured_kl_closed_form(palettes):
    """A generator that leaves out class 2 pays t2 ln(t2 / 1e-6) for it, in nats."""

    def sample(palette, rngs):
        shares = torch.tensor([0.5, 0.5, 0.0])
        flat = torch.repeat_interleave(torch.arange(C), (shares * 128).long())
        return onehot(flat.view(1, *SIZE).expand(len(rngs), -1, -1), C)

    asked = np.concatenate([palettes.sample(16, first) for first in range(0, 256, 16)])
    obtained = (np.array([0.5, 0.5, 0.0]) + 1e-6) / (1 + 3e-6)
    terms = np.where(asked > 0, asked * np.log(np.maximum(asked, 1e-12) / obtained), 0)
    found = kl_argmax(sample, palettes, torch.device("cpu"))
    assert found == pytest.approx(terms.sum(1).mean(), abs=1e-3)


# -- every baseline -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_generator_is_the_papers_without_feedback(name, build):
    G = build(name, latent=512, width=512, levels=((0, 1, 1), (0, 1, 1))).nets["G"]
    entries = C if LAYOUTS[name].follows_palette else 0
    assert G.stem.weight.shape == (512 * 4 * 8, 512 + entries) and not len(G.joints)
    assert [len(block.convs) for block in G.blocks] == [1, 2]
    z, share = torch.randn(2, 512), torch.full((2, entries), 1 / C)
    coarse, fine = (scale.soft for scale in G(z, share, level=1))
    assert coarse.shape == (2, C, 4, 8) and fine.shape == (2, C, 8, 16)
    faded = G(z, share, level=1, alpha=0.0)[-1].soft
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(faded, 2), coarse)


@pytest.mark.parametrize(
    ("name", "temperature"),
    [(name, 1.0) for name in NAMES] + [(name, None) for name in ASKED],
)
def test_gradient_of_the_critic_reaches_every_layer_of_the_generator(
    name, temperature, build, batch
):
    method = build(name, gumbel_temperature=temperature)
    phase = next(iter(method.phases(batch, at(alpha=0.5))))
    phase.loss()["adversarial"].backward()
    weights = method.nets["G"].named_parameters()
    still = [name for name, p in weights if p.grad is None or not p.grad.any()]
    assert not still


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("temperature", [None, 1.0])
def test_critic_sees_like_with_like(name, temperature, build, batch):
    """Soft fakes stand beside blurred real layouts, sampled ones beside one-hot ones."""
    method, seen = build(name, gumbel_temperature=temperature), []
    critic = getattr(method.nets["D"], "critic", method.nets["D"])
    critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()[:, :C]))
    terms_of(method, batch, at())
    fake, both, _ = seen
    for layouts in (fake, both[:4], both[4:]):
        whole = bool(((layouts == 0) | (layouts == 1)).all())
        assert whole == (temperature is not None)
        torch.testing.assert_close(layouts.sum(1), torch.ones(4, *SIZE))
    assert torch.equal(fake, both[:4])
    real = real_layout(batch.label, C, SIZE)
    assert torch.equal(both[4:].argmax(1), real.argmax(1))


@pytest.mark.parametrize(
    "wrong", [{"rounding": "sum"}, {"gumbel_temperature": 0}, {"joint": "bias"}]
)
def test_wrong_settings_are_refused(wrong):
    for name in NAMES:
        with pytest.raises(ValidationError):
            small.config(name, **{**SMALL, **wrong})


@pytest.mark.parametrize("name", ASKED)
def test_layouts_are_not_rounded_to_their_palette_unless_asked(name, build, palettes):
    asked = torch.from_numpy(palettes.sample(4, seed=1))
    real = torch.zeros(4, *SIZE, dtype=torch.int64)

    def shares(**changes):
        method = build(name, **changes)
        rngs = [generator(5, item) for item in range(4)]
        with torch.no_grad():
            found = LAYOUTS[name].draw(
                method, method.nets.eval(), palette=asked, real=real, rngs=rngs
            )
        assert torch.equal(found.target, asked) and found.edited is None
        return onehot(found.label, C).mean((2, 3))

    assert LAYOUTS[name].follows_palette
    assert float((shares() - asked).abs().max()) > 0.05
    assert float((shares(rounding=small.BALANCED) - asked).abs().max()) < 0.05


# -- cgan -----------------------------------------------------------------------------------------


def test_the_critic_of_cgan_sees_the_palette(build):
    critic = build("cgan").nets["D"]
    assert critic.show.weight.shape == (8, C)
    soft = torch.rand(5, C, *SIZE).softmax(1)
    share = torch.rand(5, C).softmax(1).requires_grad_(True)
    score = critic(soft, share, level=1, alpha=0.5)
    score.sum().backward()
    assert score.shape == (5,) and bool(share.grad.abs().sum(1).gt(0).all())
    assert not torch.allclose(score, critic(soft, share.flip(1), level=1, alpha=0.5))


def test_cgan_asks_for_palettes_of_fakes_and_shows_those_of_real_layouts(build, batch):
    """With a critic that looks at the palette alone, the terms have a closed form."""
    method = build("cgan")
    D, shown = method.nets["D"], []
    with torch.no_grad():
        D.critic.from_mask[1].weight[:, :C] = 0
    D.register_forward_pre_hook(lambda _, args: shown.append(args[1]))
    terms = terms_of(method, batch, at())
    rng = generator(0, 0)
    torch.randn(4, 8, generator=rng)
    asked = method.request(batch, rng)
    real = soften(real_layout(batch.label, C, SIZE), line=blur_line(8, kind="symmetric"))
    has = real.mean((2, 3))
    for found, wanted in zip(shown, [asked, torch.cat([asked, has]), has], strict=True):
        torch.testing.assert_close(found, wanted)
    anything = torch.rand(4, C, *SIZE)
    on_asked, on_real = (D(anything, share, level=1).mean() for share in (asked, has))
    torch.testing.assert_close(terms["G"]["adversarial"], -on_asked)
    torch.testing.assert_close(terms["D"]["wasserstein"], on_asked - on_real, atol=1e-5, rtol=1e-4)
    assert float(terms["D"]["penalty"].detach()) == pytest.approx(10.0)  # no slope along the layout


# -- palette_recovery -----------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [None, 1.0])
def test_recovery_is_of_the_soft_layout_and_has_its_weight(temperature, build, batch):
    found = {}
    for weight in (0.0, 1.0, 3.0):
        method = build("palette_recovery", recovery_weight=weight, gumbel_temperature=temperature)
        found[weight] = terms_of(method, batch, at())["G"]
    rng = generator(0, 0)
    z = torch.randn(4, 8, generator=rng)
    asked = method.request(batch, rng)
    once = recovery(method.nets["G"](z, asked, level=1)[-1].soft, asked)
    for weight, terms in found.items():
        torch.testing.assert_close(terms["recovery"], weight * once)
        torch.testing.assert_close(terms["adversarial"], found[1.0]["adversarial"])


def train_small(method, stream, folder):
    device = torch.device("cpu")
    return train(method, stream, seed=0, checkpoint_dir=folder, label="x", device=device)[0]


def test_training_recovers_the_palette_that_was_asked(build, stream, palettes, tmp_path):
    """The KL falls, and it falls for the layout's own palette, not for just any real one."""
    settings = {"latent": 4, "lr": 1e-2, "recovery_weight": 30.0, "ema": 0.9}
    method = build("palette_recovery", levels=((0, 1920, 16),), enlarge=2, **settings)
    measures = LAYOUTS["palette_recovery"].measures
    untrained = measures(method, method.nets.eval(), None)["kl_argmax"]
    nets = train_small(method, stream, tmp_path)

    def of_another(palette, rngs):
        return method.sample(nets, palette.roll(1, 0), rngs)

    shuffled = kl_argmax(of_another, palettes, torch.device("cpu"))
    trained = measures(method, nets, None)["kl_argmax"]
    assert trained < 0.12 < untrained and trained < 0.5 * shuffled


@pytest.mark.parametrize("name", ASKED)
def test_another_palette_makes_another_layout_of_the_same_noise(name, build, stream, tmp_path):
    method = build(name, lr=1e-2, ema=0.0, levels=((0, 160, 16),), enlarge=2)
    nets = train_small(method, stream, tmp_path)
    asked = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4]])
    with torch.no_grad():
        one, two = method.sample(nets, asked, [generator(1), generator(1)])
    assert float((one - two).abs().max()) > 0.01


# -- sbgan ----------------------------------------------------------------------------------------


def test_sbgan_asks_for_nothing(build, labels, palettes, batch):
    entry, method = LAYOUTS["sbgan"], build("sbgan")
    nets = method.nets.eval()
    assert not entry.follows_palette and method.request(batch, generator(0)) is None

    def draw(palette, real):
        rngs = [generator(2, item) for item in range(3)]
        with torch.no_grad():
            return entry.draw(method, nets, palette=palette, real=real, rngs=rngs)

    one = draw(torch.from_numpy(palettes.sample(3, seed=1)), torch.from_numpy(labels[:3]).long())
    two = draw(torch.full((3, C), 1 / C), torch.zeros(3, *SIZE, dtype=torch.int64))
    assert torch.equal(one.label, two.label) and one.label.shape == (3, *SIZE)
    assert one.target is None and one.edited is None
    assert entry.measures(method, nets, None) == {}


def test_sbgan_critic_sees_one_hot_layouts_of_fresh_noise(build, batch):
    method, seen = build("sbgan"), []
    method.nets["D"].register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    terms = terms_of(method, batch, at())
    fake, both, mixed = seen
    assert set(terms["G"]) == {"adversarial"} and set(terms["D"]) == {"wasserstein", "penalty"}
    for layouts in (fake, both):
        assert bool(((layouts == 0) | (layouts == 1)).all() & (layouts.sum(1) == 1).all())
    assert not torch.equal(fake, both[:4])
    assert torch.equal(both[4:], real_layout(batch.label, C, SIZE))
    assert bool(((mixed > 0) & (mixed < 1)).any())


def test_sbgan_fades_in_unless_released(build, batch):
    def loss(alpha, **changes):
        return terms_of(build("sbgan", **changes), batch, at(alpha=alpha))["D"]["wasserstein"]

    assert loss(0.3, fade="released") == loss(1.0, fade="released") == loss(1.0)
    assert loss(0.3) != loss(1.0)


def test_sbgan_learns_where_the_road_is(build, stream, tmp_path):
    method = build("sbgan", lr=3e-3, ema=0.9, levels=((0, 1600, 16),), enlarge=2)

    @torch.no_grad()
    def road_below(nets):
        rngs = [generator(3, item) for item in range(64)]
        return float((method.sample(nets, None, rngs).argmax(1)[:, -1] == 1).float().mean())

    untrained = road_below(method.nets.eval())
    assert untrained < 0.5 < 0.9 < road_below(train_small(method, stream, tmp_path))
