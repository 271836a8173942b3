"""ResNet-18 (He et al., 2016), with a head for small sizes or with a feature pyramid."""

from segment.archs.common import NORM, Arch, ModelConfig, Width, head


def mlp(num_classes: int, *, width: int, channels: int) -> ModelConfig:
    """ResNet-18 with SegFormer's all-MLP head on its four stages; quick, good at small sizes."""
    stages = [width * 2**level for level in range(4)]
    return {
        "type": "EncoderDecoder",
        "backbone": resnet18(width),
        "decode_head": {
            "type": "SegformerHead",
            "in_channels": stages,
            "in_index": [0, 1, 2, 3],
            **head(num_classes, channels),
        },
    }


def fpn(num_classes: int, *, width: int, channels: int) -> ModelConfig:
    """ResNet-18 with a feature pyramid (Kirillov et al., 2019)."""
    return {
        "type": "EncoderDecoder",
        "backbone": resnet18(width),
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
            **head(num_classes, channels),
        },
    }


def resnet18(width: int) -> ModelConfig:
    """Return the backbone, whose first stage has `width` channels (published: 64)."""
    return {
        "type": "ResNet",
        "depth": 18,
        "stem_channels": width,
        "base_channels": width,
        "norm_cfg": NORM,
    }


MLP, FPN = Arch(Width, mlp), Arch(Width, fpn)
