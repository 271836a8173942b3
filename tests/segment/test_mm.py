"""Augmentation, labelling and backbone weights on MMSegmentation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from data.pairs.classes import IGNORE, ClassTable
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from segment import archs, mm
from segment.batches.loading import augmentation
from segment.batches.pool import Part, Pool
from segment.cell import class_weights
from segment.modules import BalancedCrossEntropy


def tiny_model(width: int = 8) -> torch.nn.Module:
    torch.manual_seed(0)
    config = archs.ARCHS["resnet18_mlp"].build(3, width=width, channels=16)
    return mm.build_model(archs.complete(config, (32, 48)))


def dataset(artifacts: Path, crop: tuple[float, float], flip: float = 0.5) -> mm.PairDataset:
    pairs = PairSet(artifacts / "real/val")
    pool = Pool([Part.whole(pairs)], memory_limit_mb=100)
    return mm.dataset(
        pool, pairs.classes, augmentation(pairs.size, crop, flip, pairs.classes.mirrored), seed=5
    )


def label_of(item: dict[str, Any]) -> np.ndarray:
    return item["data_samples"].gt_sem_seg.data[0].numpy()


def test_augmentation_is_a_function_of_the_draw(artifacts: Path) -> None:
    items = dataset(artifacts, (0.6, 1.0))
    first = items[0, 7]
    other = items[0, 8]
    again = items[0, 7]
    assert torch.equal(first["inputs"], again["inputs"])
    assert np.array_equal(label_of(first), label_of(again))
    assert not torch.equal(first["inputs"], other["inputs"])


def test_image_and_label_move_together(artifacts: Path) -> None:
    items = dataset(artifacts, (0.6, 1.0))
    colors = np.asarray(items.metainfo["palette"], float)
    for draw in range(8):
        item = items[draw % 6, draw]
        image = item["inputs"].numpy().transpose(1, 2, 0)
        assert image.shape == (32, 48, 3)
        nearest = ((image[..., None, :] - colors) ** 2).sum(-1).argmin(-1)
        assert (nearest == label_of(item)).mean() > 0.9


def test_left_classes_become_right_ones_where_a_pair_is_mirrored(artifacts: Path) -> None:
    pairs = PairSet(artifacts / "real/val")
    names = pairs.classes.names
    first, second, *rest = pairs.classes.classes
    swapped = ClassTable((replace(first, mirror=names[1]), replace(second, mirror=names[0]), *rest))
    pool = Pool([Part.whole(pairs)], memory_limit_mb=100)
    plain = augmentation(pairs.size, (1.0, 1.0), 1.0, pairs.classes.mirrored)
    aware = augmentation(pairs.size, (1.0, 1.0), 1.0, swapped.mirrored)
    before = label_of(mm.dataset(pool, pairs.classes, plain, seed=5)[0, 0])
    after = label_of(mm.dataset(pool, swapped, aware, seed=5)[0, 0])
    ids = np.array([1, 0, *range(2, 256)])
    assert {0, 1} <= set(np.unique(before))
    assert np.array_equal(after, ids[before])


def test_a_share_above_one_is_padded_with_ignore(artifacts: Path) -> None:
    item = dataset(artifacts, (2.0, 2.0))[0, 0]
    assert item["inputs"].shape == (3, 16, 24)
    data = tiny_model().data_preprocessor(mm.pseudo_collate([item]), training=True)
    label = data["data_samples"][0].gt_sem_seg.data[0].numpy()
    assert data["inputs"].shape == (1, 3, 32, 48)
    assert (label == IGNORE).sum() == 32 * 48 - 16 * 24


def test_the_label_of_an_image_does_not_depend_on_its_batch(artifacts: Path) -> None:
    model = tiny_model().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = np.stack([pair.image for pair in PairSet(artifacts / "real/val").pairs()])
    together = mm.label_images(model, images)
    apart = np.concatenate([mm.label_images(model, images[i : i + 1]) for i in range(6)])
    assert np.array_equal(together, apart)
    assert model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_posteriors_are_those_of_each_pixels_own_class(artifacts: Path) -> None:
    model = tiny_model().train()
    found = list(PairSet(artifacts / "real/val").pairs(range(2)))
    images = np.stack([pair.image for pair in found])
    labels = np.stack([pair.label for pair in found])
    each = np.stack([mm.posteriors(model, images, np.full_like(labels, c)) for c in range(3)])
    np.testing.assert_allclose(each.sum(axis=0), 1, rtol=1e-5)
    assert np.array_equal(each.argmax(axis=0), mm.label_images(model, images))
    own = np.take_along_axis(each, labels[None].astype(int), 0)[0]
    assert np.array_equal(mm.posteriors(model, images, labels), own)
    labels[0, 0] = IGNORE
    assert (mm.posteriors(model, images, labels)[0, 0] == 0).all()
    assert model.training


def test_backbone_weights_are_loaded(tmp_path: Path) -> None:
    donor, model = tiny_model(), tiny_model()
    tensors = {f"backbone.{k}": v + 1 for k, v in donor.backbone.state_dict().items()}
    save_file({**tensors, "fc.weight": torch.zeros(3)}, tmp_path / "b.safetensors")
    torch.save({"state_dict": tensors}, tmp_path / "b.pth")
    for name in ("b.safetensors", "b.pth"):
        assert mm.load_backbone(model, tmp_path / name) == len(tensors)
        assert torch.equal(model.backbone.conv1.weight, donor.backbone.conv1.weight + 1)


def test_weights_of_another_arch_are_refused(tmp_path: Path) -> None:
    save_file(tiny_model(width=16).backbone.state_dict(), tmp_path / "wide.safetensors")
    with pytest.raises(UserError, match="belongs to another arch"):
        mm.load_backbone(tiny_model(), tmp_path / "wide.safetensors")


def test_foreign_pickles_are_not_executed(tmp_path: Path) -> None:
    torch.save({"state_dict": Path("x")}, tmp_path / "odd.pth")  # any object needs code to load
    with pytest.raises(UserError, match="plain tensors"):
        mm.load_backbone(tiny_model(), tmp_path / "odd.pth")


def test_class_weights_meet_ignored_pixels_and_weigh_as_torch_does():
    weights = np.array([1.0, 3.0, 0.5])
    loss = BalancedCrossEntropy(weights, 0.4, "loss_ce")
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    label = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    label[0, :2] = 255
    plain = torch.nn.CrossEntropyLoss(torch.tensor(weights).float(), ignore_index=255)
    assert loss(logits, label).item() == pytest.approx(0.4 * plain(logits, label).item(), rel=1e-5)
    assert loss(logits, torch.full_like(label, 255)).item() == 0


def test_class_weights_follow_the_real_palettes():
    palettes = np.array([[0.6, 0.4, 0.0, 0.0], [0.38, 0.6, 0.02, 0.0]])
    weights = class_weights(palettes, 0.5, 20.0)
    shares = palettes.mean(0)
    assert (weights * shares).sum() == pytest.approx(1)
    assert weights[2] / weights[0] == pytest.approx((shares[0] / shares[2]) ** 0.5)
    assert weights[3] == 0
    assert class_weights(palettes, 0, 20.0) is None
    capped = class_weights(palettes, 1.0, 2.0)
    assert capped[2] / capped[0] == pytest.approx(2.0 * 3 * shares[0])
    assert (capped * shares).sum() == pytest.approx(1)
