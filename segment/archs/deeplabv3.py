"""DeepLabV3 (Chen et al., 2017)."""

from segment.archs.common import NORM, Arch, Dropout, ModelConfig, cross_entropy, head


def r50(num_classes: int, *, dropout: float) -> ModelConfig:
    """DeepLabV3 (Chen et al., 2017) on a ResNet-50 of output stride 8."""
    return _on_resnet(50, num_classes, dropout)


def r101(num_classes: int, *, dropout: float) -> ModelConfig:
    """DeepLabV3 on a ResNet-101 with a deep stem of 128 channels, the segmenter of the paper."""
    return _on_resnet(101, num_classes, dropout)


def _on_resnet(depth: int, num_classes: int, dropout: float) -> ModelConfig:
    """Main head on the last stage, auxiliary head of weight 0.4 on the third (paper)."""
    auxiliary = head(num_classes, 512, dropout)
    auxiliary["loss_decode"] = cross_entropy(0.4)
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
            **head(num_classes, 512, dropout),
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


R50, R101 = Arch(Dropout, r50), Arch(Dropout, r101)
