"""A contract for every trainable painter, and what each paper pins down."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from data.pairs.batches import Stream, onehot
from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import ShardWriter
from data.pretrained import Features
from data.stage.errors import UserError
from data.stage.outputs import read_json
from synth.nets.features import perceptual
from synth.painters import PAINTERS
from synth.painters.common.pyramid import oasis_stages, spade_stages
from synth.painters.oasis import draw_noise
from synth.stages import train_painter
from synth.training import artifact
from synth.training.loop import train
from synth.training.method import Given, PaintRequest, Progress, generator
from synth.training.session import weight_files
from tests.synth import small
from tests.synth.small import PAINTERS_TRAINED

SIZE, CLASSES, BATCH = (16, 32), 5, 3
SETTINGS = {"num_images": 12, "batch_size": BATCH, "num_doublings": 3, "max_channels": 12}


def _build(name, size=SIZE, num_classes=CLASSES, published=False, **fields):
    name, changes = small.VARIANTS.get(name, (name, {}))
    settings = {"num_images": 12} if published else small.known(name, **SETTINGS) | changes
    torch.manual_seed(0)
    given = Given(num_classes, size)
    return small.build(name, given, published=published, **{**settings, **fields})


def _batch(seed=0):
    rng = torch.Generator().manual_seed(seed)
    image = torch.rand(BATCH, 3, *SIZE, generator=rng) * 2 - 1
    return small.batch_of(image, torch.randint(0, CLASSES, (BATCH, *SIZE), generator=rng))


def _progress(step=0):
    return Progress(step, 0, 12, 0, 1.0, generator(0, step))


def _rngs(*seeds):
    return [generator(seed) for seed in seeds]


PAINTING = (*PAINTERS_TRAINED, *small.VARIANTS)


@pytest.fixture(params=PAINTING)
def method(request):
    return _build(request.param)


def test_phases_move_their_own_networks_and_losses_are_finite(method):
    moved = set()
    for phase in method.phases(_batch(), _progress()):
        method.nets.requires_grad_(False)
        for name in phase.train:
            method.nets[name].requires_grad_(True)
        terms = phase.loss()
        assert all(term.dim() == 0 and torch.isfinite(term) for term in terms.values())
        method.nets.zero_grad()
        sum(terms.values()).backward()
        for name, net in method.nets.items():
            graded = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.parameters()]
            assert any(graded) == (name in phase.train), (phase.name, name)
        moved |= set(phase.train)
    assert moved == set(method.optimizers) == {*method.generators, *method.critics}
    assert set(method.nets) >= set(method.kept) >= set(method.generators)
    assert not set(method.critics) & set(method.kept)


def test_sample_is_an_image_and_a_function_of_the_seed(method):
    nets = method.nets.eval()
    layout = PaintRequest(_batch().label)
    first = method.sample(nets, layout, _rngs(1, 2, 3))
    assert first.shape == (BATCH, 3, *SIZE)
    assert first.dtype == torch.float32
    assert first.abs().max() <= 1
    assert torch.equal(first, method.sample(nets, layout, _rngs(1, 2, 3)))
    soft = PaintRequest(layout.planes(CLASSES))
    assert torch.equal(first, method.sample(nets, soft, _rngs(1, 2, 3))), "one-hot is the same"


def test_an_item_does_not_depend_on_its_neighbours(method):
    nets = method.nets.eval()
    label = _batch().label
    together = method.sample(nets, PaintRequest(label), _rngs(1, 2, 3))
    alone = method.sample(nets, PaintRequest(label[1:2]), _rngs(2))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_soft_layouts_are_painted_and_receive_gradient(method):
    probabilities = torch.rand(BATCH, CLASSES, *SIZE, generator=torch.Generator().manual_seed(0))
    layout = (probabilities / probabilities.sum(1, keepdim=True)).requires_grad_()
    method.sample(method.nets, PaintRequest(layout), _rngs(1, 2, 3)).square().sum().backward()
    assert (layout.grad.abs().sum((2, 3)) > 0).all()


@pytest.mark.parametrize("name", PAINTING)
def test_generator_loss_accepts_soft_layouts(name):
    method = _build(name)
    real = _batch()
    layout = onehot(real.label, CLASSES) * 0.9 + 0.1 / CLASSES
    layout.requires_grad_()
    losses = method.losses(real, layout, _progress())
    sum(losses.generator().values()).backward()
    assert layout.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PAINTERS_TRAINED)
@pytest.mark.parametrize("size", [(96, 128), (64, 128)])
def test_default_depths_fit_the_sizes_of_the_presets(name, size):
    method = _build(name, size=size, **small.doublings(name, 5))
    label = torch.zeros(1, *size).long()
    image = method.sample(method.nets.eval(), PaintRequest(label), _rngs(0))
    assert image.shape == (1, 3, *size)
    for phase in method.phases(small.batch_of(image.detach(), label), _progress()):
        assert all(torch.isfinite(term) for term in phase.loss().values())


@pytest.mark.parametrize("name", PAINTERS_TRAINED)
def test_a_size_that_cannot_be_painted_is_refused_with_the_nearest(name):
    deep = small.doublings(name, 5)  # nothing where the depth is fixed
    wanted = "multiples of 32.*64x96 or 96x128" if deep else "multiples of 4.*88x120 or 92x120"
    with pytest.raises(UserError, match=f"90x120.*{wanted}"):
        _build(name, size=(90, 120), **deep)


@pytest.mark.parametrize("name", PAINTERS_TRAINED)
def test_average_of_a_constant_network_equals_the_network(name, tmp_path):
    """A learning rate near 0 leaves the weights; averaging and renewal must not change them."""
    still = {"generator_lr": 1e-30, "critic_lr": 1e-30, "ema": 0.5, "num_images": 24}
    method = _build(name, **small.known(name, **still))
    batch = _batch()
    images = ((batch.image + 1) * 127.5).byte()
    stream = Stream(images, batch.label.byte(), seed=0, flip=False, mirrored=range(255))
    averaged, _ = train(
        method, stream, seed=0, checkpoint_dir=tmp_path, label=name, device=torch.device("cpu")
    )
    layout = PaintRequest(batch.label)
    nets = copy.deepcopy(method.nets)
    with torch.no_grad():
        # The same statistics for both: batch norm in train mode looks at the batch itself.
        expected = method.sample(nets.train(), layout, _rngs(1, 2, 3))
        for norm in averaged.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.train()
        got = method.sample(averaged, layout, _rngs(1, 2, 3))
    torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-3)


def test_spade_has_the_published_parameters():
    with torch.device("meta"):
        for num_classes, wanted in ((35, 93_018_051), (36, 93_048_003)):
            method = _build("spade", (128, 256), num_classes, published=True)
            assert _count(method.nets["G"]) == wanted
        assert _count(method.nets["D"]) == 5_601_410


def test_oasis_has_the_published_parameters():
    with torch.device("meta"):
        method = _build("oasis", (128, 256), 35, published=True)
    assert _count(method.nets["G"]) == 71_107_523
    assert _count(method.nets["D"]) == 22_251_364


def test_stages_of_the_papers():
    full = {"width": 64, "max_channels": 1024}
    oasis = oasis_stages(5, **full)
    assert [s.out_channels for s in oasis] == [1024, 1024, 512, 256, 128, 64]
    assert [s.doubles for s in oasis] == [False] + [True] * 5
    normal, more = spade_stages(5, **full), spade_stages(6, **full)
    assert [s.out_channels for s in normal] == [1024, 1024, 1024, 512, 256, 128, 64]
    assert [s.out_channels for s in more] == [s.out_channels for s in normal]
    assert [s.doubles for s in normal] == [False, True, False, True, True, True, True]
    assert [s.doubles for s in more] == [False] + [True] * 6


def test_oasis_noise_is_constant_where_it_should_be():
    label = _batch().label
    layout = onehot(label, CLASSES)
    image, region, pixel = (
        draw_noise(layout, kind, 4, _rngs(1, 2, 3)) for kind in ("image", "region", "pixel")
    )
    assert image.shape == region.shape == pixel.shape == (BATCH, 4, *SIZE)
    assert image.std((2, 3)).max() < 1e-6
    assert len(image[:, 0, 0, 0].unique()) == BATCH
    for c in range(CLASSES):
        assert len(region[0, 0][label[0] == c].unique()) == 1
    assert len(region[0, 0].unique()) == CLASSES
    assert len(pixel[0, 0].unique()) == SIZE[0] * SIZE[1]


def test_oasis_paints_one_layout_in_many_ways_and_spade_in_one():
    layout = PaintRequest(_batch().label[:1].repeat(2, 1, 1))
    for name, differs in (("oasis", True), ("spade", False), ("spade, codes", True)):
        method = _build(name)
        a, b = method.sample(method.nets.eval(), layout, _rngs(1, 2))
        assert (not torch.allclose(a, b, atol=1e-6)) == differs


def test_a_painter_learns_one_picture(tmp_path):
    """SPADE with feature matching fits three flat-coloured classes in 60 steps."""
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (6, 4, 8), generator=rng)
    label = label.repeat_interleave(4, 1).repeat_interleave(4, 2)
    colors = torch.tensor([[230, 30, 30], [30, 200, 60], [40, 60, 220]], dtype=torch.uint8)
    images = colors[label].permute(0, 3, 1, 2).contiguous()
    fields = {"num_images": 360, "batch_size": 6, "ema": 0.9, "generator_lr": 2e-3}
    method = _build("spade", num_classes=3, **fields)
    stream = Stream(images, label.byte(), seed=0, flip=False, mirrored=range(255))
    nets, _ = train(
        method, stream, seed=0, checkpoint_dir=tmp_path, label="spade", device=torch.device("cpu")
    )
    painted = method.sample(nets, PaintRequest(label), _rngs(*range(6)))
    assert (painted - (images.float() / 127.5 - 1)).abs().mean() < 0.35


def _count(net):
    return sum(p.numel() for p in net.parameters())


def test_weight_files_are_inputs_of_a_painter():
    config = small.config("spade", vgg=Path("weights/vgg19.safetensors"))
    assert weight_files(config) == [Path("weights/vgg19.safetensors")]
    assert weight_files(small.config("spade")) == []


@pytest.mark.parametrize("name", PAINTERS_TRAINED)
def test_every_number_has_to_be_given(name):
    whole = small.numbers(name)
    assert set(whole) == set(PAINTERS[name].Config.model_fields)
    for key in whole:
        with pytest.raises(ValidationError, match=rf"{key}\n.*[Ff]ield required"):
            PAINTERS[name].Config(**{k: v for k, v in whole.items() if k != key})


@pytest.mark.parametrize("name", PAINTERS)
def test_stage_leaves_an_artifact_that_paints(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENE_PALETTE_SCRATCH", str(tmp_path / "scratch"))
    table = ClassTable(tuple(ClassInfo(name, (i, i, i)) for i, name in enumerate("abcde")))
    batch = _batch()
    with ShardWriter(tmp_path / "train", classes=table, size=SIZE, fingerprint="f") as writer:
        for item, label in enumerate(batch.label.byte().numpy()):
            image = np.full((*SIZE, 3), 40 * item, np.uint8)
            writer.write(Pair(f"{item}", image, label, "real"))
    settings = small.known(name, **SETTINGS) if PAINTERS[name].build else {}
    small.write_params(tmp_path, painters={name: small.numbers(name, **settings)})
    seen = []
    counted = replace(PAINTERS[name], measures=lambda *given: seen.append(given) or {"kept": 1.5})
    monkeypatch.setitem(PAINTERS, name, counted)
    out = tmp_path / "out"
    train_painter.main(method=name, train=tmp_path / "train", out=out)
    if counted.build is None:
        assert [file.name for file in out.iterdir()] == ["method.json"]
        return
    assert read_json(out / "method.json")["measures"] == {"kept": 1.5} and len(seen) == 1
    method, nets = artifact.load(out, counted, Given(CLASSES, SIZE))
    kept = load_file(out / artifact.WEIGHTS)
    critics = load_file(out / artifact.CRITICS) if method.critics else {}
    assert {key.partition(".")[0] for key in kept} == set(method.kept)
    assert {key.partition(".")[0] for key in critics} == set(method.critics)
    ready = counted.prepare(method, nets, torch.float32)
    painted = method.sample(ready, PaintRequest(batch.label), _rngs(1, 2, 3))
    assert painted.shape == batch.image.shape
    before = {key: value.clone() for key, value in method.nets.state_dict().items()}
    artifact.load_critics(out, method)
    after = method.nets.state_dict()
    changed = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == set(method.critics), "critics go on as they were trained"


@pytest.mark.parametrize("name", ["spade", "pix2pixhd"])
def test_the_perceptual_loss_may_look_through_pretrained_features(name):
    """It is that of `regions`: zero on the real image, and it reaches the generator alone."""
    layout = onehot(torch.randint(0, 3, (2, 32, 32), generator=torch.Generator().manual_seed(0)), 3)
    real = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    method = _build(name, num_classes=3, size=(32, 32), pretrained="efficientnet_lite0")
    assert method.generator_loss(real, real, layout)["perceptual"].item() == 0
    painted = method.nets["G"](layout)
    loss = method.generator_loss(real, painted, layout)["perceptual"]
    seen = [Features("efficientnet_lite0")(image) for image in (painted, real)]
    assert loss.item() == pytest.approx(method.config.perceptual_weight * perceptual(*seen).item())
    loss.backward()
    assert sum(p.grad.abs().sum() for p in method.nets["G"].parameters() if p.grad is not None) > 0
    assert not [p for p in method.perceptual.parameters() if p.requires_grad]
    assert "perceptual" not in _build(name, num_classes=3).generator_loss(real, real, layout)


def test_two_networks_for_one_loss_are_refused():
    both = {"vgg": Path("vgg19.safetensors"), "pretrained": "efficientnet_lite0"}
    with pytest.raises(ValidationError, match="two networks for one loss"):
        small.config("spade", **both)
