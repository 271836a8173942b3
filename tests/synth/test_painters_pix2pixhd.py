"""What pix2pixHD pins down: parameters, grids, initial weights, losses, and that it learns."""

import pytest
import torch
from safetensors.torch import save_file

from data.pairs.batches import Stream, onehot
from data.stage.errors import UserError
from synth.nets.losses import Perceptual
from synth.painters.pix2pixhd import least_squares
from synth.training.loop import train
from synth.training.method import Given, PaintRequest, Progress, generator
from tests.synth import small

TINY = {"num_doublings": 2, "num_blocks": 1, "width": 4, "critic_width": 4}


def _build(size=(16, 32), num_classes=3, **fields):
    torch.manual_seed(0)
    given = Given(num_classes, size)
    return small.build("pix2pixhd", given, published=True, **{"num_images": 8, **fields})


def _count(net):
    return sum(p.numel() for p in net.parameters())


def test_the_defaults_have_the_published_parameters():
    """36 channels: 35 classes and the instance edges. One channel less, and as many weights."""
    with torch.device("meta"):
        edges, plain = (_build(size=(128, 256), num_classes=c) for c in (36, 35))
    assert _count(edges.nets["G"]) == 182_546_755
    assert _count(plain.nets["G"]) == 182_546_755 - 64 * 7 * 7
    # SPADE's critic (5,601,410) and the biases before the norms: 128 + 256 + 512 at two scales.
    assert _count(edges.nets["D"]) == 5_601_410 + 2 * (128 + 256 + 512)


def test_optimizers_are_the_published_ones():
    method = _build(**TINY)
    assert {(o.lr, o.betas) for o in method.optimizers.values()} == {(2e-4, (0.5, 0.999))}


def test_grids_of_the_paper():
    """128x256: four halvings to 8x16 with 1024 channels, nine blocks there, and back."""
    with torch.device("meta"):
        body = _build(size=(128, 256), num_classes=35).nets["G"].body
        x, shapes = torch.empty(1, 35, 128, 256), []
        for layer in body:
            x = layer(x)
            shapes.append(tuple(x.shape[1:]))
    down = [(64, 128, 256), (128, 64, 128), (256, 32, 64), (512, 16, 32), (1024, 8, 16)]
    assert shapes == [*down, *[(1024, 8, 16)] * 9, *reversed(down[:-1])]


def test_initial_weights_have_the_published_deviation_and_no_spectral_norm():
    method = _build(num_doublings=3, num_blocks=2, width=16, critic_width=16)
    names = [name for name, _ in method.nets.named_parameters()]
    assert not any("parametrizations" in name for name in names)
    for parameter in method.nets.parameters():
        if parameter.dim() > 1:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)
            assert abs(parameter.mean().item()) < 0.003
        else:
            assert not parameter.any()


def test_least_squares_is_a_mean_over_patches_and_a_sum_over_scales():
    scores = [torch.full((2, 1, 3, 3), 3.0), torch.full((2, 1, 1, 1), -1.0)]
    assert least_squares(scores, 1.0).item() == 4 + 4
    assert least_squares(scores, 0.0).item() == 9 + 1
    assert least_squares([s.bfloat16() for s in scores], 1.0).dtype == torch.float32


def test_the_critic_pays_half_and_the_generator_whole():
    """A critic that answers 0 everywhere: 1/2 a scale for real, nothing for fake, 1 for making."""
    method = _build(**TINY)
    for head in (critic.head for critic in method.nets["D"].scales):
        torch.nn.init.zeros_(head.weight)
    image, layout = torch.rand(1, 3, 16, 32), torch.rand(1, 3, 16, 32)
    terms = method.critic_loss(image, -image, layout)
    assert (terms["real"].item(), terms["fake"].item()) == (1, 0)
    assert method.generator_loss(image, -image, layout)["least_squares"].item() == 2


def test_feature_matching_and_perceptual_term_vanish_on_the_real_image(tmp_path):
    torch.manual_seed(1)
    save_file(Perceptual().state_dict(), tmp_path / "vgg.safetensors")
    method = _build(**TINY, vgg=tmp_path / "vgg.safetensors")
    real, layout = torch.rand(1, 3, 16, 32), onehot(torch.randint(0, 3, (1, 16, 32)), 3)
    same = method.generator_loss(real, real, layout)
    assert same["feature_matching"].item() == same["perceptual"].item() == 0
    painted = method.generator_loss(real, method.nets["G"](layout), layout)
    painted["perceptual"].backward()
    assert painted["feature_matching"] > 0
    assert method.nets["G"].rgb.weight.grad.abs().sum() > 0
    assert "perceptual" not in _build(**TINY).generator_loss(real, real, layout)


def test_missing_vgg_weights_are_refused_before_training(tmp_path):
    with pytest.raises(UserError, match=r"none\.pth not found.*set vgg to null"):
        _build(**TINY, vgg=tmp_path / "none.pth")


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (32, 8)])
def test_every_size_that_halves_to_two_is_painted_and_judged(size):
    method = _build(size=size, **TINY)
    batch = small.batch_of(torch.rand(1, 3, *size), torch.randint(0, 3, (1, *size)))
    now = Progress(0, 0, 8, 0, 1.0, generator(0))
    for phase in method.phases(batch, now):
        assert all(torch.isfinite(term) for term in phase.loss().values())
    painted = method.sample(method.nets.eval(), PaintRequest(batch.label), [generator(0)])
    assert painted.shape == (1, 3, *size)


def test_a_grid_too_small_to_reflect_is_refused_with_a_size_that_is_not():
    with pytest.raises(UserError, match=r"32x64: .*multiples of 32, at least 64; .*to 64x64, or"):
        _build(size=(32, 64), **(TINY | {"num_doublings": 5}))
    with pytest.raises(UserError, match=r"20x70: .*multiples of 16, at least 32; .*32x64 or 32x80"):
        _build(size=(20, 70), **(TINY | {"num_doublings": 4}))


def test_nothing_of_a_layout_of_one_class_is_left_after_the_first_norm():
    """Instance norm removes what is constant; a border between two classes is seen."""
    first = _build(**TINY).nets["G"].body[0]
    label = torch.zeros(3, 16, 32, dtype=torch.long)
    label[1] = 1
    label[2, :, 16:] = 1
    with torch.no_grad():
        zeros, ones, both = first(onehot(label, 3)).abs().amax((1, 2, 3))
    assert max(zeros, ones) < 1e-3 < 1 < both


def test_it_learns_to_paint(tmp_path):
    """Six pictures of three flat colours: 60 steps bring the paint and its features closer."""
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (6, 4, 8), generator=rng)
    label = label.repeat_interleave(4, 1).repeat_interleave(4, 2)
    colors = torch.tensor([[230, 30, 30], [30, 200, 60], [40, 60, 220]], dtype=torch.uint8)
    images = colors[label].permute(0, 3, 1, 2).contiguous()
    fast = {"batch_size": 6, "generator_lr": 2e-3, "num_images": 360, "width": 8}
    method = _build(**(TINY | fast))
    real = images.float() / 127.5 - 1

    def distance(nets):
        return (method.sample(nets, PaintRequest(label), []) - real).abs().mean().item()

    with torch.no_grad():
        before = distance(method.nets)
    stream = Stream(images, label.byte(), seed=0, flip=False, mirrored=range(255))
    nets, curve = train(
        method, stream, seed=0, checkpoint_dir=tmp_path, label="p", device=torch.device("cpu")
    )
    assert distance(nets) < 0.4 * before
    matched = [point["generator/feature_matching"] for point in curve]
    assert matched[-1] < matched[0]
