"""AdvEnt: entropy maps by hand, who descends what, and a segmenter that starts as without it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from data.pairs.shards import PairSet
from segment import adapt, archs, mm
from segment.batches.loading import augmentation
from segment.batches.mixes import Mix, make_mix


def test_entropy_maps_by_hand() -> None:
    logits = torch.tensor([[[[0.0]], [[0.0]]], [[[0.0]], [[200.0]]], [[[0.0]], [[math.log(3)]]]])
    maps = adapt.entropy_maps(logits)[:, :, 0, 0]
    assert maps[0].tolist() == pytest.approx([0.5, 0.5])
    assert maps[1].tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    quarter = [0.25 * 2, 0.75 * math.log2(4 / 3)]
    assert maps[2].tolist() == pytest.approx(quarter)


def test_the_critic_is_that_of_the_paper() -> None:
    critic = adapt.build_critic(19, 64, seed=0)
    convolutions = [layer for layer in critic if isinstance(layer, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 1]
    assert critic(torch.zeros(2, 19, 96, 128)).shape == (2, 1, 3, 4)
    assert not isinstance(critic[-1], nn.LeakyReLU)


def test_drawing_a_critic_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = adapt.build_critic(3, 4, seed=1)
    assert torch.equal(torch.rand(2), expected)
    again = adapt.build_critic(3, 4, seed=1)
    other = adapt.build_critic(3, 4, seed=2)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


def test_what_the_critic_says_is_priced_by_cross_entropy() -> None:
    scores = torch.tensor([0.0, math.log(3)])
    assert adapt.says(scores, adapt.REAL).item() == pytest.approx(
        (math.log(2) + math.log(4 / 3)) / 2
    )
    assert adapt.says(scores, adapt.SYNTHETIC).item() == pytest.approx(
        (math.log(2) + math.log(4)) / 2
    )


def batch(artifacts: Path, num_real: int) -> list[dict[str, Any]]:
    """Real scenes, then negatives of scenes: domains that a critic can tell apart."""
    found = list(PairSet(artifacts / "real/train").pairs(range(4)))
    pack = mm.Compose(augmentation((32, 48), (1.0, 1.0), 0.0, range(3)))
    return [
        pack(
            {
                "img": pair.image if number < num_real else 255 - pair.image,
                "gt_seg_map": pair.label,
                "seg_fields": ["gt_seg_map"],
            }
        )
        for number, pair in enumerate(found)
    ]


def segmenter() -> nn.Module:
    torch.manual_seed(0)
    config = archs.ARCHS["resnet18_mlp"].build(3, width=8, channels=16)
    return mm.build_model(archs.complete(config, (32, 48)))


def halves(steps: int, until: float = 1.0) -> Mix:
    numbers = {"num_real": 2, "num_synthetic": 2, "num_batches": steps, "until": until, "seed": 0}
    return make_mix(range(2), range(2, 4), **numbers)


def wrapped(model: nn.Module) -> mm.OptimWrapper:
    return mm.OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-3))


def adapted(
    steps: int, until: float = 1.0, separate: bool = False
) -> tuple[nn.Module, mm.OptimWrapper]:
    model, mix = segmenter(), halves(steps, until)
    config = adapt.Config(weight=0.01, width=8, lr=1e-3)
    adapt.Advent(model, adapt.build_critic(3, 8, 0), mix, config, separate).attach()
    return model, wrapped(model)


def test_separate_passes_are_two_batches_whose_losses_are_summed(artifacts: Path) -> None:
    samples = batch(artifacts, num_real=2)
    model = segmenter()
    losses = []
    for half in (samples[2:], samples[:2]):  # synthetic pairs, then real ones
        data = model.data_preprocessor(mm.pseudo_collate(half), True)
        losses.append(model(**data, mode="loss")["decode.loss_ce"])
    sum(losses).backward()

    apart = segmenter()
    adapt.Separate(apart, halves(1)).attach()
    still = mm.OptimWrapper(torch.optim.SGD(apart.parameters(), lr=0.0))
    still.zero_grad = lambda: None  # as they are after the step
    shown = apart.train_step(mm.pseudo_collate(samples), still)
    assert shown["loss"].item() == pytest.approx(sum(losses).item(), rel=1e-6)
    for one, other in zip(model.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for one, other in zip(model.buffers(), apart.buffers(), strict=True):
        torch.testing.assert_close(one, other)

    together = segmenter()  # batch norm sees both: another gradient
    data = together.data_preprocessor(mm.pseudo_collate(samples), True)
    (2 * together(**data, mode="loss")["decode.loss_ce"]).backward()
    pairs = list(zip(model.parameters(), together.parameters(), strict=True))
    assert not all(torch.allclose(one.grad, other.grad, rtol=0.01) for one, other in pairs)


def test_real_pairs_alone_at_the_end_have_one_pass(artifacts: Path) -> None:
    samples = mm.pseudo_collate(batch(artifacts, num_real=4))
    plain, apart = segmenter(), segmenter()
    step = adapt.Separate(apart, halves(2, until=0.5))
    step._steps = 1
    step.attach()
    losses = []
    for model in (plain, apart):
        torch.manual_seed(0)  # of dropout
        losses.append(model.train_step(samples, wrapped(model))["loss"].item())
    assert losses[0] == losses[1]


def test_the_critic_knows_which_separate_pass_was_real(artifacts: Path) -> None:
    samples = batch(artifacts, num_real=2)
    model, critic = segmenter(), adapt.build_critic(3, 8, 0)
    said = []
    halves_of_batch = ((samples[2:], adapt.SYNTHETIC), (samples[:2], adapt.REAL))
    for half, what in halves_of_batch:
        data = model.data_preprocessor(mm.pseudo_collate(half), True)
        logits = model.decode_head(model.extract_feat(data["inputs"]))
        scores = nn.functional.interpolate(logits, (32, 48), mode="bilinear", align_corners=False)
        said.append(adapt.says(critic(adapt.entropy_maps(scores)), what).item())
    apart, wrapper = adapted(1, separate=True)
    shown = apart.train_step(mm.pseudo_collate(samples), wrapper)
    assert shown["critic"].item() == pytest.approx(sum(said) / 2, rel=1e-6)


def test_the_critic_learns_to_tell_the_domains_apart(artifacts: Path) -> None:
    model, wrapper = adapted(60)
    data = mm.pseudo_collate(batch(artifacts, num_real=2))
    seen = [model.train_step(data, wrapper)["critic"].item() for _ in range(60)]
    assert seen[0] == pytest.approx(math.log(2), abs=0.01)
    assert sum(seen[40:]) / 20 < 0.64  # not for long: the segmenter works against it


def test_the_segmenter_is_paid_for_real_images_that_look_synthetic(artifacts: Path) -> None:
    model, wrapper = adapted(1)
    data = mm.pseudo_collate(batch(artifacts, num_real=2))
    shown = model.train_step(data, wrapper)
    # at the first step the critic knows nothing: half and half, times the weight
    assert shown["loss_advent"].item() == pytest.approx(0.01 * math.log(2), rel=0.1)
    assert shown["loss"].item() == pytest.approx(
        shown["decode.loss_ce"].item() + shown["loss_advent"].item(), rel=1e-5
    )


def test_batches_of_real_pairs_alone_have_no_critic(artifacts: Path) -> None:
    model, wrapper = adapted(4, until=0.5)
    data = mm.pseudo_collate(batch(artifacts, num_real=2))
    shown = [model.train_step(data, wrapper) for _ in range(4)]
    assert ["critic" in step for step in shown] == [True, True, False, False]
    for step in shown[2:]:
        assert step["loss"].item() == step["decode.loss_ce"].item()


def test_a_cell_that_adapts_is_its_own_and_saves_a_plain_segmenter(
    train: Callable[..., Path], workspace: Callable[..., Path]
) -> None:
    root = workspace()
    plain = load_file(train(root / "plain") / "model.safetensors")
    first = train(root / "first", "adapted") / "model.safetensors"
    again = train(root / "again", "adapted") / "model.safetensors"
    assert first.read_bytes() == again.read_bytes()
    weights = load_file(first)
    assert weights.keys() == plain.keys()
    assert any(not torch.equal(weights[name], plain[name]) for name in plain)
