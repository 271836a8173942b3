"""Losses against closed forms worked out by hand."""

import math

import pytest
import torch
from safetensors.torch import save_file

from data.pairs.batches import onehot
from data.stage.errors import UserError
from synth.layouts.common.losses import CLOSEST, mode_seeking
from synth.nets.losses import (
    Perceptual,
    class_weights,
    fake_cross_entropy,
    feature_matching,
    hinge_critic,
    hinge_generator,
    label_mix,
    label_mix_mask,
    load_perceptual,
    real_cross_entropy,
)


def test_hinge_is_two_at_zero_and_zero_beyond_the_margins():
    zero = [torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 2, 2)]
    assert hinge_critic(zero, zero).item() == 2
    beyond = [torch.full_like(z, 5.0) for z in zero]
    assert hinge_critic(beyond, [-b for b in beyond]).item() == 0
    assert hinge_critic([-b for b in beyond], beyond).item() == 12


def test_hinge_weighs_scales_alike_whatever_their_size():
    scores = [torch.full((1, 1, 8, 8), 3.0), torch.full((1, 1, 2, 2), -1.0)]
    assert hinge_generator(scores).item() == -1


def test_feature_matching_sums_layers_and_averages_scales():
    real = [[torch.zeros(1, 4, 4, 4), torch.zeros(1, 8, 2, 2)], [torch.zeros(1, 4, 2, 2)] * 2]
    fake = [[f + 1 for f in scale] for scale in real]
    assert feature_matching(real, fake).item() == 2


def test_feature_matching_moves_only_fake():
    real, fake = (torch.randn(1, 2, 2, 2, requires_grad=True) for _ in range(2))
    feature_matching([[real]], [[fake]]).backward()
    assert real.grad is None
    assert fake.grad.abs().sum() > 0


def test_equally_frequent_classes_weigh_one_and_absent_ones_nothing():
    label = torch.tensor([[[0, 0, 2, 2], [3, 3, 0, 2], [2, 0, 3, 3]]])
    weights = class_weights(onehot(label, 5), power=1.0, most=None)
    assert weights.tolist() == pytest.approx([1, 0, 1, 1, 0])


def test_class_weights_are_inverse_frequencies_with_power_and_cap():
    label = torch.zeros(1, 4, 25, dtype=torch.long)
    label[0, 0, 0] = 1
    layout = onehot(label, 2)
    exact = [100 / (2 * 99), 100 / 2]
    assert class_weights(layout, power=1.0, most=None).tolist() == pytest.approx(exact)
    assert class_weights(layout, power=1.0, most=7.0).tolist() == pytest.approx([exact[0], 7])
    roots = [math.sqrt(value) for value in exact]
    assert class_weights(layout, power=0.5, most=None).tolist() == pytest.approx(roots)
    assert class_weights(layout, power=0.0, most=None).tolist() == pytest.approx([1, 1])


def test_cross_entropies_of_indifferent_logits():
    logits = torch.zeros(2, 1 + 4, 3, 3)
    label = torch.randint(0, 4, (2, 3, 3), generator=torch.Generator().manual_seed(0))
    assert fake_cross_entropy(logits).item() == pytest.approx(math.log(5))
    weights = torch.tensor([2.0, 2.0, 2.0, 2.0])
    assert real_cross_entropy(logits, label, weights).item() == pytest.approx(2 * math.log(5))


def test_soft_cross_entropy_equals_hard_on_a_onehot():
    rng = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 7, 5, 4, generator=rng)
    label = torch.randint(0, 6, (2, 5, 4), generator=rng)
    weights = torch.rand(6, generator=rng)
    hard = real_cross_entropy(logits, label, weights)
    torch.testing.assert_close(real_cross_entropy(logits, onehot(label, 6), weights), hard)
    reference = torch.nn.functional.cross_entropy(logits, label + 1, reduction="none")
    torch.testing.assert_close(hard, (weights[label] * reference).mean())


def test_cross_entropy_is_float32_for_half_precision_logits():
    logits = torch.randn(1, 3, 4, 4).bfloat16()
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    assert real_cross_entropy(logits, label, torch.ones(2)).dtype == torch.float32


def test_label_mix_of_one_side_is_zero():
    real, fake = torch.randn(2, 5, 4, 4), torch.randn(2, 5, 4, 4)
    assert label_mix(real, real, fake, torch.ones(2, 1, 4, 4)).item() == 0
    assert label_mix(fake, real, fake, torch.zeros(2, 1, 4, 4)).item() == 0
    assert label_mix(real + 3, real, fake, torch.ones(2, 1, 4, 4)).item() == pytest.approx(9)


def test_label_mix_mask_is_constant_in_a_class_and_differs_between_images():
    label = torch.randint(0, 8, (16, 6, 6), generator=torch.Generator().manual_seed(2))
    mask = label_mix_mask(label, 8, torch.Generator().manual_seed(0))[:, 0]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    coins = torch.full((16, 8), -1.0)
    for image in range(16):
        for c in label[image].unique():
            values = mask[image][label[image] == c].unique()
            assert len(values) == 1
            coins[image, c] = values[0]
    assert len({tuple(row) for row in coins.tolist()}) > 8


def test_perceptual_reads_weights_and_vanishes_on_equal_images(tmp_path):
    torch.manual_seed(0)
    state = Perceptual().state_dict()
    save_file(state, tmp_path / "vgg.safetensors")
    torch.save(state | {"classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg19.pth")
    real, fake = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32).requires_grad_()
    values = []
    for name in ("vgg.safetensors", "vgg19.pth"):
        perceptual = load_perceptual(tmp_path / name)
        assert not any(p.requires_grad for p in perceptual.parameters())
        assert perceptual(real, real).item() == 0
        values.append(perceptual(fake, real))
    assert values[0].item() == values[1].item() > 0
    values[0].backward()
    assert fake.grad.abs().sum() > 0


def test_perceptual_taps_are_the_five_published_activations():
    """19-layer VGG in configuration E: relu1_1 .. relu5_1 have 64 .. 512 channels at size / 2^k."""
    perceptual = Perceptual()
    seen = {}
    for index, layer in enumerate(perceptual.features):

        def note(module, inputs, output, index=index):
            seen.setdefault(index, output.shape)

        layer.register_forward_hook(note)
    perceptual(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))
    shapes = [tuple(seen[index][1:]) for index in (1, 6, 11, 20, 29)]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]


def test_wrong_vgg_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pth not found.*set vgg to null"):
        load_perceptual(tmp_path / "nowhere.pth")
    save_file({"features.0.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"features\.0\.weight is missing or of another shape"):
        load_perceptual(tmp_path / "other.safetensors")


def test_mode_seeking_is_the_inverse_of_how_far_pairs_are_apart():
    soft = onehot(torch.tensor([[[0, 0, 1, 1]], [[0, 1, 1, 0]], [[2, 2, 2, 2]]]), 3)
    where, z = torch.ones(3, 1, 1, 4), torch.tensor([[0.0, 0.0], [2.0, 2.0], [9.0, 9.0]])
    # half of the pixels differ, the noise by 2; the last layout has no other
    assert mode_seeking(soft, where, z).item() == pytest.approx(1 / (0.5 / 2 + CLOSEST))
    where[:, :, :, 2:] = 0
    assert mode_seeking(soft, where, z).item() == pytest.approx(1 / (0.5 / 2 + CLOSEST))
    where[:, :, :, 1] = 0
    assert mode_seeking(soft, where, z).item() == pytest.approx(1 / CLOSEST)
    assert mode_seeking(soft, where * 0, z).item() == 0
    assert mode_seeking(soft[:1], where[:1], z[:1]).item() == 0
