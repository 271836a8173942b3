"""SegFormer (Xie et al., 2021)."""

from segment.archs.common import Arch, Dropout, ModelConfig, head


def b0(num_classes: int, *, dropout: float) -> ModelConfig:
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
            **head(num_classes, 256, dropout),
        },
    }


B0 = Arch(Dropout, b0)
