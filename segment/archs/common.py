"""What architectures share: their options, heads, and what completes them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import Field

from data.stage.params import Params

BACKBONE_LR = "backbone_lr"
"""Key of an arch's `train_cfg`: the backbone's learning rate over that of the other layers."""

NORM = {"type": "BN", "requires_grad": True}
# ImageNet statistics of RGB images: most pretrained backbones expect them, others do not mind.
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]

ModelConfig = dict[str, Any]


class Arch(NamedTuple):
    """What a registry entry holds: the class of its options, and a builder taking them."""

    Config: type[Params]
    build: Callable[..., ModelConfig]


class Width(Params):
    """`width`: channels of the first ResNet stage (published: 64); `channels`: of the head."""

    width: int = Field(ge=4)
    channels: int = Field(ge=4)


class Dropout(Params):
    """`dropout`: share of the head's channels that is dropped before the last layer."""

    dropout: float = Field(ge=0, lt=1)


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


def head(num_classes: int, channels: int, dropout: float = 0.1) -> ModelConfig:
    """Return what every head has: its channels, dropout, classes, norm and loss."""
    return {
        "channels": channels,
        "dropout_ratio": dropout,
        "num_classes": num_classes,
        "norm_cfg": NORM,
        "align_corners": False,
        "loss_decode": cross_entropy(1.0),
    }


def cross_entropy(weight: float) -> ModelConfig:
    """Return the loss of a head, of a weight."""
    # the mean is over supervised pixels: ignored ones must not dilute the loss
    return {"type": "CrossEntropyLoss", "loss_weight": weight, "avg_non_ignore": True}
