"""A contract for generators of images from noise alone, and what each paper pins down."""

import copy

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import interpolate

from data.pairs.batches import Stream
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.outputs import read_json
from data.stage.params import read
from synth.making import unlabelled
from synth.making.parts import ProduceParams
from synth.making.sets import SetParams
from synth.painters import PAINTERS
from synth.stages import train_unconditional
from synth.training.loop import Options, train
from synth.training.method import Given, Progress, generator
from synth.unconditional import UNCONDITIONAL
from synth.unconditional.biggan import NoiseNorm, conv, orthogonality, truncated
from synth.unconditional.progan import with_spread
from tests.synth import small
from tests.synth.test_produce import NUMBERS

SIZE, BATCH = (16, 32), 6


def build(name, size=SIZE, **changes):
    torch.manual_seed(0)
    return small.build(name, Given(4, size), **changes)


def stream():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 3, *SIZE), generator=rng, dtype=torch.uint8)
    labels = torch.zeros(5, *SIZE, dtype=torch.uint8)
    return Stream(images, labels, seed=0, flip=True, mirrored=range(255))


def rngs(*seeds):
    return [generator(seed) for seed in seeds]


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.fixture(params=UNCONDITIONAL)
def name(request):
    return request.param


def test_phases_move_their_own_networks_and_losses_are_finite(name):
    method = build(name)
    for span in method.spans:
        now = Progress(1, 4, 24, span.level, 0.5 if span.fade else 1.0, generator(0, 1))
        moved = set()
        for phase in method.phases(stream().batch(0, span.batch_size), now):
            for net_name, net in method.nets.items():
                net.requires_grad_(net_name in phase.train)
            terms = phase.loss()
            assert all(term.dim() == 0 and torch.isfinite(term) for term in terms.values())
            method.nets.zero_grad()
            sum(terms.values()).backward()
            for net_name, net in method.nets.items():
                graded = any(p.grad is not None and p.grad.any() for p in net.parameters())
                assert graded == (net_name in phase.train), (phase.name, net_name)
            moved |= set(phase.train)
        assert moved == set(method.optimizers) == {"G", "D"}
    assert set(method.kept) == {"G"}


def test_an_image_is_a_function_of_its_seed_and_of_no_neighbour(name):
    method = build(name)
    nets = method.nets.eval()
    images = method.sample(nets, None, rngs(1, 2, 3))
    assert images.shape == (3, 3, *SIZE) and images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert torch.equal(images, method.sample(nets, None, rngs(1, 2, 3)))
    alone = method.sample(nets, None, rngs(2))
    torch.testing.assert_close(images[1:2], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(images[0], images[1], atol=1e-3)


def test_resume_is_exact(name, tmp_path):
    pairs = stream()

    class Killed(Exception):
        pass

    class Dying:
        def batch(self, position, size):
            if position >= 12:
                raise Killed
            return pairs.batch(position, size)

    options = dict(seed=3, label=name, device=torch.device("cpu"))
    options["options"] = Options(save_every=1, log_every=2)
    straight, curve = train(build(name), pairs, checkpoint_dir=tmp_path / "a", **options)
    with pytest.raises(Killed):
        train(build(name), Dying(), checkpoint_dir=tmp_path / "b", **options)
    torch.rand(7)  # the global generator must not matter
    resumed, again = train(build(name), pairs, checkpoint_dir=tmp_path / "b", **options)
    assert curve == again
    for key, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


def test_every_number_has_to_be_given(name):
    whole = small.numbers(name)
    for key in whole:
        with pytest.raises(ValidationError, match=rf"{key}\n.*[Ff]ield required"):
            UNCONDITIONAL[name].Config(**{k: v for k, v in whole.items() if k != key})


def test_stage_leaves_an_artifact_that_draws_by_seed_and_index(
    name, artifacts, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    small.write_params(tmp_path, unconditional={name: small.numbers(name)})
    real = PairSet(artifacts / "train")
    train_unconditional.main(method=name, train=artifacts / "train", out=tmp_path / "out")
    about = read_json(tmp_path / "out/method.json")
    assert about["name"] == name and about["num_parameters"]["G"] > 0

    def drawn(folder, number, **changes):
        numbers = ProduceParams(**NUMBERS | changes)
        writing = {"classes": unlabelled.CLASSES, "size": real.size, "fingerprint": "f"}
        with ShardWriter(tmp_path / folder, **writing) as writer:
            unlabelled.draw(writer, real, tmp_path / "out", name, numbers, count=number)
        return PairSet(tmp_path / folder)

    three, four, other = drawn("a", 3), drawn("b", 4), drawn("c", 3, seed=1)
    assert [len(it) for it in (three, four, other)] == [3, 4, 3]
    # an item beside another is computed alike, but for rounding
    near = [np.abs(three[i].image.astype(int) - four[i].image).max() for i in range(3)]
    assert max(near) <= 1
    assert not np.array_equal(three[0].image, other[0].image)
    assert three[0].id == f"{name}-0000000" and three.classes.eval_ids == ()
    assert three.classes != real.classes, "nobody learns from it"


def test_no_set_may_paint_with_what_sees_no_layout(name, tmp_path):
    sets = {"new": {"layouts": "real", "painter": name, "num_pairs": 1}}
    small.write_params(tmp_path, sets=sets)
    wanted = (
        rf"`sets.new.painter` = '{name}'.*{name} makes images from noise alone: they have no "
        rf"labels, so no pairs; name a painter \({', '.join(PAINTERS)}\)"
    )
    with pytest.raises(UserError, match=wanted):
        read("sets.new", SetParams, tmp_path / "params.yaml")


# == ProGAN ==


def test_progan_has_the_published_parameters():
    fields = {"num_images": 8, "levels": [[0, 1, 4]] + [[1, 1, 4]] * 8}
    with torch.device("meta"):
        nets = small.build("progan", Given(4, (1024, 1024)), published=True, **fields).nets
    assert {key: count(net) for key, net in nets.items()} == {"G": 23_079_115, "D": 23_087_249}


def test_a_level_begins_as_the_one_before_at_twice_its_size():
    method = build("progan", levels=[[0, 1, 4], [1, 1, 4], [1, 1, 4]])
    G, D, z = method.nets["G"], method.nets["D"], torch.randn(3, 6)
    before = G(z, level=1)
    torch.testing.assert_close(G(z, level=2, alpha=0.0), interpolate(before, scale_factor=2.0))
    half = torch.lerp(interpolate(before, scale_factor=2.0), G(z, level=2), 0.5)
    torch.testing.assert_close(G(z, level=2, alpha=0.5), half)
    coarse = torch.randn(3, 3, 8, 16)
    seen = D(interpolate(coarse, scale_factor=2.0), level=2, alpha=0.0)
    torch.testing.assert_close(seen, D(coarse, level=1))
    image = torch.randn(2, 3, *SIZE)
    faded = interpolate(method.real(image, 1), scale_factor=2.0)
    torch.testing.assert_close(method.real(image, 2, 0.0), faded)
    torch.testing.assert_close(method.real(image, 2), image)
    assert method.real(image, 0).shape == (2, 3, 4, 8)


def test_the_schedule_is_in_parts_of_the_training():
    levels = [[7, 1, 4], [1, 3, 2], [1, 2, 2]]
    spans = build("progan", num_images=80, levels=levels).spans
    assert [(s.level, s.fade, s.num_images, s.batch_size) for s in spans] == [
        (0, False, 10, 4),
        (1, True, 10, 2),
        (1, False, 30, 2),
        (2, True, 10, 2),
        (2, False, 20, 2),
    ]
    with pytest.raises(UserError, match="has no part of the training"):
        build("progan", levels=[[1, 0, 4]])
    with pytest.raises(UserError, match="`levels` has 4 entries, this layout size has 3 levels"):
        build("progan", levels=[[0, 1, 4]] * 4)


def test_the_critic_is_told_how_much_images_differ():
    alike, apart = torch.ones(4, 2, 3, 5), torch.tensor([1.0, -1.0]).repeat(2).view(4, 1, 1, 1)
    assert with_spread(alike)[:, 2].max() < 1e-3
    torch.testing.assert_close(with_spread(apart * alike)[:, 2], torch.ones(4, 3, 5))
    D = build("progan").nets["D"]
    one = torch.rand(1, 3, 8, 16)
    same, mixed = D(one.repeat(2, 1, 1, 1), level=0), D(torch.cat([one, -one]), level=0)
    assert not torch.allclose(same[0], mixed[0])


# == BigGAN ==


def test_biggan_has_the_published_parameters():
    """Those of 128x128 with 1,000 classes, once what it has for classes is added."""
    with torch.device("meta"):
        given = Given(4, (128, 128))
        nets = small.build("biggan", given, published=True, num_images=8).nets
    norms = [net.norm.num_features for net in nets["G"].modules() if isinstance(net, NoiseNorm)]
    embedding = 128 * 1000 + sum(2 * channels * 128 for channels in norms)
    assert count(nets["G"]) == 68_413_636 and count(nets["G"]) + embedding == 70_433_988
    assert count(nets["D"]) == 86_446_370 and count(nets["D"]) + 1000 * 1536 == 87_982_370


def test_every_level_hears_its_part_of_the_noise():
    G = build("biggan").nets["G"].eval()
    z = torch.randn(1, 9)
    for part in range(3):
        other = z.clone()
        other[:, 3 * part : 3 * part + 3] += 1
        assert not torch.allclose(G(other), G(z), atol=1e-6), part


def test_attention_begins_as_nothing_and_then_looks_everywhere():
    G = build("biggan").nets["G"].eval()
    (look,) = [it for it in G.looks if not isinstance(it, torch.nn.Identity)]
    x = torch.randn(1, 8, 8, 16)
    assert torch.equal(look(x), x)
    look.gain.data.fill_(1.0)
    moved = x.clone()
    moved[..., 0, 0] += 5
    assert ((look(moved) - look(x))[..., 7, 15].abs() > 1e-6).any()


def test_filters_that_are_at_right_angles_cost_nothing():
    layer = conv(4, 3, 1, bias=False)
    assert orthogonality(layer).item() == pytest.approx(0, abs=1e-9)
    weight = torch.tensor([[1.0, 0.0], [1.0, 2.0], [0.0, 1.0]])
    linear = torch.nn.Linear(2, 3)
    linear.weight.data = weight
    assert orthogonality(linear).item() == 2 * (1 + 0 + 4)


def test_every_step_of_the_critic_has_real_images():
    method = build("biggan", critic_steps=3)
    now = Progress(0, 0, 24, 0, 1.0, generator(0))
    # what one of several processes may have of a batch
    names = [phase.name for phase in method.phases(stream().batch(0, 4), now)]
    assert names == ["D", "D", "D", "G"]
    with pytest.raises(UserError, match="2 images of a batch for 3 steps"):
        list(method.phases(stream().batch(0, 2), now))


def test_truncated_noise_keeps_its_law_inside():
    z = truncated(rngs(0, 1), 20_000, 0.5)
    assert z.shape == (2, 20_000) and z.abs().max() <= 0.5
    # the deviation of a normal law cut at half of its own
    assert z.std().item() == pytest.approx(0.2841, abs=0.003)
    assert truncated(rngs(0), 20_000, None).std().item() == pytest.approx(1, abs=0.02)


def test_the_critic_takes_its_steps_on_real_images_of_its_own():
    method = build("biggan", critic_steps=2, orthogonal_weight=0.0)
    batch = stream().batch(0, 6)
    phases = list(method.phases(batch, Progress(0, 0, 24, 0, 1.0, generator(0))))
    assert [phase.name for phase in phases] == ["D", "D", "G"]
    judged = []
    hook = method.nets["D"].register_forward_hook(lambda _, given, made: judged.append(given[0]))
    terms = [phase.loss() for phase in phases]
    hook.remove()
    assert torch.equal(torch.cat([judged[0][:3], judged[1][:3]]), batch.image)
    assert not torch.equal(judged[0][3:], judged[1][3:]), "other noise"
    assert set(terms[2]) == {"generator"} and len(judged[2]) == 3


def test_sizes_and_attention_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"90x120.*multiples of 4"):
        build("biggan", size=(90, 120))
    with pytest.raises(UserError, match=r"attention is 2 halvings.*must be less; lower it"):
        build("biggan", attention=2)
    with pytest.raises(UserError, match="90x120 cannot be grown"):
        build("progan", size=(90, 120))


# == images are learnt ==

LEARNING = {
    "progan": {
        "num_images": 5000,
        "levels": [[0, 1, 8], [1, 2, 8]],
        "latent": 4,
        "width": 16,
        "lr": 8e-3,
    },
    "biggan": {
        "num_images": 8000,
        "num_doublings": 1,
        "attention": None,
        "batch_size": 16,
        "critic_steps": 1,
        "width": 16,
        "critic_width": 16,
        "noise": 4,
        "truncation": None,
        "generator_lr": 2e-3,
        "critic_lr": 2e-3,
        "betas": [0.0, 0.99],
    },
}
# How near images come to real ones, of the distance at first, and how many of four are drawn.
NEAR = {"progan": (0.3, 4), "biggan": (0.3, 2)}


@pytest.mark.slow
def test_images_of_two_colours_are_learnt(name, tmp_path):
    size = (8, 16)
    colors = torch.tensor([[230, 30, 30], [30, 200, 60], [40, 60, 220], [220, 210, 50]])
    images = torch.zeros(4, 3, *size, dtype=torch.uint8)
    for row in range(4):
        images[row, :, :, :8] = colors[row][:, None, None]
        images[row, :, :, 8:] = colors[(row + 1) % 4][:, None, None]
    labels = torch.zeros(4, *size, dtype=torch.uint8)
    pairs = Stream(images, labels, seed=0, flip=False, mirrored=range(255))
    method = build(name, size=size, ema=0.9, **LEARNING[name])
    real = images.float() / 127.5 - 1

    @torch.no_grad()
    def nearest(nets):
        drawn = method.sample(nets, None, rngs(*range(32)))
        return (drawn[:, None] - real[None]).abs().mean((2, 3, 4)).min(1)

    before, _ = nearest(copy.deepcopy(method.nets).eval())
    nets, _ = train(
        method, pairs, seed=0, checkpoint_dir=tmp_path, label=name, device=torch.device("cpu")
    )
    after, which = nearest(nets)
    share, number = NEAR[name]
    assert after.mean() < share * before.mean()
    assert len(which.unique()) >= number
