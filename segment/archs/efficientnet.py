"""EfficientNet-Lite0 with ImageNet weights from the package index, for few pairs."""

from pydantic import Field

from data.pretrained import CHANNELS, weights_file
from data.stage.params import Params, Pretrained
from segment.archs.common import BACKBONE_LR, Arch, ModelConfig, head


class Lite0(Params):
    """`pretrained`: null = random weights; `backbone_lr`: rate of the backbone over the head's."""

    pretrained: Pretrained | None
    backbone_lr: float = Field(gt=0)
    channels: int = Field(ge=4)


def mlp(
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
            **head(num_classes, channels),
        },
        "train_cfg": {BACKBONE_LR: backbone_lr},
    }


MLP = Arch(Lite0, mlp)
