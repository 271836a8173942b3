"""Architectures as plain model configs of MMSegmentation, and how to adapt those it ships."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import Field

from data.pretrained import CHANNELS, weights_file
from data.stage.errors import UserError
from data.stage.params import Params, Pretrained, choose

SHIPPED = "mmseg::"
"""Prefix of an arch that names a config file of the installed MMSegmentation."""

BACKBONE_LR = "backbone_lr"
"""Key of an arch's `train_cfg`: the backbone's learning rate over that of the other layers."""

NORM = {"type": "BN", "requires_grad": True}
# ImageNet statistics of RGB images: most pretrained backbones expect them, others do not mind.
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]

ModelConfig = dict[str, Any]


class Width(Params):
    """`width`: channels of the first ResNet stage (published: 64); `channels`: of the head."""

    width: int = Field(ge=4)
    channels: int = Field(ge=4)


class Dropout(Params):
    """`dropout`: share of the head's channels that is dropped before the last layer."""

    dropout: float = Field(ge=0, lt=1)


class Lite0(Params):
    """`pretrained`: null = random weights; `backbone_lr`: rate of the backbone over the head's."""

    pretrained: Pretrained | None
    backbone_lr: float = Field(gt=0)
    channels: int = Field(ge=4)


def resnet18_mlp(num_classes: int, *, width: int, channels: int) -> ModelConfig:
    """ResNet-18 with SegFormer's all-MLP head on its four stages; quick, good at small sizes."""
    stages = [width * 2**level for level in range(4)]
    return {
        "type": "EncoderDecoder",
        "backbone": _resnet18(width),
        "decode_head": {
            "type": "SegformerHead",
            "in_channels": stages,
            "in_index": [0, 1, 2, 3],
            **_head(num_classes, channels),
        },
    }


def efficientnet_lite0_mlp(
    num_classes: int, *, pretrained: Pretrained | None, backbone_lr: float, channels: int
) -> ModelConfig:
    """EfficientNet-Lite0 with the all-MLP head on strides 2 to 32; for few pairs.

    Raises `UserError` when its weights are asked for and not installed.
    """
    if pretrained is not None:
        weights_file()
    return {
        "type": "EncoderDecoder",
        # the weights learnt images in [-1, 1]
        "data_preprocessor": {"mean": [127.5] * 3, "std": [127.5] * 3},
        "backbone": {"type": "PretrainedBackbone", "weights": pretrained},
        "decode_head": {
            "type": "SegformerHead",
            "in_channels": list(CHANNELS),
            "in_index": list(range(len(CHANNELS))),
            **_head(num_classes, channels),
        },
        "train_cfg": {BACKBONE_LR: backbone_lr},
    }


def resnet18_fpn(num_classes: int, *, width: int, channels: int) -> ModelConfig:
    """ResNet-18 with a feature pyramid (Kirillov et al., 2019)."""
    return {
        "type": "EncoderDecoder",
        "backbone": _resnet18(width),
        "neck": {
            "type": "FPN",
            "in_channels": [width * 2**level for level in range(4)],
            "out_channels": channels,
            "num_outs": 4,
        },
        "decode_head": {
            "type": "FPNHead",
            "in_channels": [channels] * 4,
            "in_index": [0, 1, 2, 3],
            "feature_strides": [4, 8, 16, 32],
            **_head(num_classes, channels),
        },
    }


def segformer_b0(num_classes: int, *, dropout: float) -> ModelConfig:
    """SegFormer-B0 (Xie et al., 2021): mix transformer and all-MLP head."""
    return {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "MixVisionTransformer",
            "embed_dims": 32,
            "num_stages": 4,
            "num_layers": [2, 2, 2, 2],
            "num_heads": [1, 2, 5, 8],
            "patch_sizes": [7, 3, 3, 3],
            "sr_ratios": [8, 4, 2, 1],
            "out_indices": (0, 1, 2, 3),
            "mlp_ratio": 4,
            "qkv_bias": True,
            "drop_path_rate": 0.1,
        },
        "decode_head": {
            "type": "SegformerHead",
            "in_channels": [32, 64, 160, 256],
            "in_index": [0, 1, 2, 3],
            **_head(num_classes, 256, dropout),
        },
    }


def deeplabv3_r50(num_classes: int, *, dropout: float) -> ModelConfig:
    """DeepLabV3 (Chen et al., 2017) on a ResNet-50 of output stride 8."""
    return _deeplabv3(50, num_classes, dropout)


def deeplabv3_r101(num_classes: int, *, dropout: float) -> ModelConfig:
    """DeepLabV3 on a ResNet-101 with a deep stem of 128 channels, the segmenter of the paper."""
    return _deeplabv3(101, num_classes, dropout)


class Arch(NamedTuple):
    """What a registry entry holds: the class of its options, and a builder taking them."""

    Config: type[Params]
    build: Callable[..., ModelConfig]


ARCHS = {
    "resnet18_mlp": Arch(Width, resnet18_mlp),
    "efficientnet_lite0_mlp": Arch(Lite0, efficientnet_lite0_mlp),
    "resnet18_fpn": Arch(Width, resnet18_fpn),
    "segformer_b0": Arch(Dropout, segformer_b0),
    "deeplabv3_r50": Arch(Dropout, deeplabv3_r50),
    "deeplabv3_r101": Arch(Dropout, deeplabv3_r101),
}


def find(name: str) -> Arch:
    """Return a registry entry; an unknown name lists what there is."""
    if name.startswith(SHIPPED):
        raise UserError(f"{name} is a config of MMSegmentation and has no options here")
    return choose(name, ARCHS, f"arch (or {SHIPPED}<family>/<config>.py)")


def adapt(config: Mapping[str, Any], num_classes: int) -> ModelConfig:
    """Make a shipped model config train here: one process, no download, other classes.

    Synchronised batch norm becomes batch norm; pretrained weights are dropped everywhere; every
    head predicts `num_classes` classes, with the class weights of the other dataset removed.
    """
    model = _without_downloads(config)
    for part in [key for key in model if key.endswith("head")]:
        model[part] = _with_classes(model[part], num_classes)
    for key in ("data_preprocessor", "train_cfg"):
        model.pop(key, None)
    return model


def complete(config: ModelConfig, size: tuple[int, int]) -> ModelConfig:
    """Add what every arch has: normalisation (or its own), padding with `IGNORE`, whole images.

    `size` is (height, width) of a training crop.
    """
    return config | {
        "data_preprocessor": {
            "type": "SegDataPreProcessor",
            "mean": MEAN,
            "std": STD,
            "size": tuple(size),
            "pad_val": 0,
            "seg_pad_val": 255,
            **config.get("data_preprocessor", {}),
        },
        "train_cfg": config.get("train_cfg", {}),
        "test_cfg": {"mode": "whole"},
    }


def _resnet18(width: int) -> ModelConfig:
    return {
        "type": "ResNet",
        "depth": 18,
        "stem_channels": width,
        "base_channels": width,
        "norm_cfg": NORM,
    }


def _head(num_classes: int, channels: int, dropout: float = 0.1) -> ModelConfig:
    return {
        "channels": channels,
        "dropout_ratio": dropout,
        "num_classes": num_classes,
        "norm_cfg": NORM,
        "align_corners": False,
        "loss_decode": _cross_entropy(1.0),
    }


def _cross_entropy(weight: float) -> ModelConfig:
    # the mean is over supervised pixels: ignored ones must not dilute the loss
    return {"type": "CrossEntropyLoss", "loss_weight": weight, "avg_non_ignore": True}


def _deeplabv3(depth: int, num_classes: int, dropout: float) -> ModelConfig:
    """Main head on the last stage, auxiliary head of weight 0.4 on the third (paper)."""
    auxiliary = _head(num_classes, 512, dropout)
    auxiliary["loss_decode"] = _cross_entropy(0.4)
    return {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "ResNetV1c",
            "depth": depth,
            "stem_channels": 128,
            "dilations": (1, 1, 2, 4),
            "strides": (1, 2, 1, 1),
            "contract_dilation": True,
            "norm_cfg": NORM,
        },
        "decode_head": {
            "type": "ASPPHead",
            "in_channels": 2048,
            "in_index": 3,
            "dilations": (1, 12, 24, 36),
            **_head(num_classes, 512, dropout),
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": 1024,
            "in_index": 2,
            "num_convs": 1,
            "concat_input": False,
            **auxiliary,
        },
    }


def _without_downloads(node: Any) -> Any:
    if isinstance(node, Mapping):
        plain = {key: _without_downloads(value) for key, value in node.items()}
        if plain.get("type") in ("SyncBN", "NaiveSyncBN"):
            plain["type"] = "BN"
        plain.pop("pretrained", None)
        if "Pretrained" in _init_types(plain.get("init_cfg")):
            plain.pop("init_cfg")
        return plain
    if isinstance(node, list | tuple):
        return type(node)(_without_downloads(value) for value in node)
    return node


def _init_types(init: Any) -> set[Any]:
    return {entry.get("type") for entry in (init if isinstance(init, list) else [init or {}])}


def _with_classes(node: Any, num_classes: int) -> Any:
    if isinstance(node, Mapping):
        plain = {key: _with_classes(value, num_classes) for key, value in node.items()}
        if "num_classes" in plain:
            plain["num_classes"] = num_classes
            # a two-class config may predict one map and a threshold; C maps always work
            for key in ("out_channels", "threshold"):
                plain.pop(key, None)
        plain.pop("class_weight", None)
        if plain.get("type") == "CrossEntropyLoss":
            plain["avg_non_ignore"] = True
        return plain
    if isinstance(node, list | tuple):
        return type(node)(_with_classes(value, num_classes) for value in node)
    return node
