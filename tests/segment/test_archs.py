"""Every architecture trains one step here, offline, with the classes it is asked for."""

from typing import Any

import numpy as np
import pytest
import torch

from data.stage.errors import UserError
from segment import archs, mm
from segment.batches.loading import augmentation

C = 7
SIZE = (32, 64)
SMALL = {"width": 8, "channels": 16}
LITE0 = {"pretrained": None, "backbone_lr": 0.1, "channels": 16}
OPTIONS = {name: SMALL if "resnet18" in name else {"dropout": 0.1} for name in archs.ARCHS}
OPTIONS["efficientnet_lite0_mlp"] = LITE0
SHIPPED = [
    "mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",  # synchronised batch norm
    "mmseg::ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py",  # heads in a list
]


def build(config: dict[str, Any]) -> torch.nn.Module:
    torch.manual_seed(0)
    return mm.build_model(archs.complete(config, SIZE))


def check_one_step(model: torch.nn.Module) -> None:
    """A loss, finite gradients for every head, and labels below C."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    label = rng.integers(0, C, SIZE, np.uint8)
    label[:5] = 255
    pack = mm.Compose(augmentation(SIZE, (1.0, 1.0), 0.0, range(C)))
    items = [pack({"img": image, "gt_seg_map": label, "seg_fields": ["gt_seg_map"]})] * 2
    data = model.data_preprocessor(mm.pseudo_collate(items), training=True)
    losses = model(**data, mode="loss")
    total = sum(value for name, value in losses.items() if "loss" in name)
    total.backward()
    for name, parameter in model.named_parameters():
        if name.endswith("conv_seg.weight"):
            assert len(parameter) == C
            assert parameter.grad.abs().sum() > 0
    predicted = mm.label_images(model, np.stack([image, image]))
    assert predicted.shape == (2, *SIZE)
    assert predicted.dtype == np.uint8
    assert predicted.max() < C


@pytest.mark.parametrize("name", archs.ARCHS)
def test_registered_archs_train(name: str) -> None:
    arch = archs.find(name)
    check_one_step(build(arch.build(C, **arch.Config(**OPTIONS[name]).model_dump())))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configs_train(name: str) -> None:
    original = mm.shipped(name)
    assert "SyncBN" in str(original)
    assert "open-mmlab://" in str(original)
    config = archs.adapt(original, C)
    assert "SyncBN" not in str(config)
    assert "open-mmlab://" not in str(config)
    check_one_step(build(config))


def test_published_sizes() -> None:
    """Numbers of parameters: SegFormer-B0 as published, ResNet-18 (11.2 M) with its head."""

    def millions(name: str, **options: float) -> float:
        model = build(archs.find(name).build(19, **options))
        return sum(parameter.numel() for parameter in model.parameters()) / 1e6

    assert millions("segformer_b0", dropout=0.1) == pytest.approx(3.72, abs=0.01)
    assert millions("resnet18_mlp", width=64, channels=256) == pytest.approx(11.7, abs=0.1)


def test_adapt_replaces_classes_in_every_head_and_keeps_the_backbone() -> None:
    config = {
        "type": "CascadeEncoderDecoder",
        "pretrained": "open-mmlab://x",
        "data_preprocessor": {"size": (512, 1024)},
        "backbone": {
            "type": "B",
            "num_classes": 1000,
            "norm_cfg": {"type": "SyncBN", "requires_grad": True},
            "init_cfg": {"type": "Pretrained", "checkpoint": "https://x"},
        },
        "decode_head": [
            {"num_classes": 19, "loss_decode": {"type": "CrossEntropyLoss", "class_weight": [1.0]}},
            {"num_classes": 2, "out_channels": 1, "threshold": 0.3},
        ],
        "auxiliary_head": {"num_classes": 19, "init_cfg": {"type": "Normal"}},
    }
    assert archs.adapt(config, C) == {
        "type": "CascadeEncoderDecoder",
        "backbone": {
            "type": "B",
            "num_classes": 1000,
            "norm_cfg": {"type": "BN", "requires_grad": True},
        },
        "decode_head": [
            {"num_classes": C, "loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True}},
            {"num_classes": C},
        ],
        "auxiliary_head": {"num_classes": C, "init_cfg": {"type": "Normal"}},
    }


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(
        UserError, match="resnet18_mlp, efficientnet_lite0_mlp, resnet18_fpn, segformer_b0"
    ):
        archs.find("resnet99")
    with pytest.raises(UserError, match="near it: fcn/fcn_r50"):
        mm.shipped("mmseg::fcn/fcn_r50-d8.py")


def test_an_arch_that_cannot_be_built_is_named() -> None:
    config = mm.shipped("mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py")
    with pytest.raises(UserError, match="another OpenMMLab package"):
        build(archs.adapt(config, C))
