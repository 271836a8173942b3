"""Settings of every method, as published and small enough for tests."""

from typing import Any

GROWN = {
    "latent": 512,
    "width": 512,
    "taper_from": 4,
    "cell": 1,
    "enlarge": 1,
    "skip": False,
    "mask_gain": 1.0,
    "pixel_norm": "rms",
    "lr": 1e-3,
    "betas": [0.0, 0.99],
    "ema": 0.99,
    "penalty_weight": 10.0,
}
LOSSES = {
    "entropy_weight": 1.0,
    "spread_weight": 1.0,
    "joint": "bias",
    "blur": "symmetric",
}
BALANCED = {"kind": "balanced", "smallest": 0}
ARGMAX = BALANCED | {"kind": "argmax"}
DRAWN = {"gumbel_temperature": None, "blur": "symmetric", "rounding": ARGMAX}
PAINTER = {"num_doublings": 5, "width": 64, "critic_width": 64}
PATCHES = {
    "critic_layers": 4,
    "critic_scales": 2,
    "feature_matching_weight": 10.0,
    "perceptual_weight": 10.0,
    "vgg": None,
    "pretrained": None,
}
HINGED = (
    PAINTER
    | PATCHES
    | {
        "batch_size": 16,
        "max_channels": 1024,
        "hidden": 128,
        "reuse_fake": True,
        "init_gain": 0.02,
        "generator_lr": 1e-4,
        "critic_lr": 4e-4,
        "betas": [0.0, 0.9],
        "ema": 0.999,
    }
)
PATCH_CRITIC = {"critic_layers", "critic_scales"}
DOUBLED = {"num_doublings", "width", "max_channels"}
ENCODED = {"latent": None, "encoder_width": 64, "encoder_halvings": 6, "kl_weight": 0.8}
SEGMENTED = {
    "segmentation_weight": 0.0,
    "segmentation_width": 64,
    "segmentation_depth": 6,
    "class_weight_power": 1.0,
    "class_weight_max": None,
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "none": {},
    "real": {},
    "semantic_palette": {
        **GROWN,
        **LOSSES,
        "sinkhorn": 0,
        "rounding": BALANCED,
        "filter_palette": False,
    },
    "partial_palette": {
        **GROWN,
        **LOSSES,
        "hidden": 128,
        "init_gain": 1.0,
        "masks": {"band": 1.0},
        "bands": [0.5, 1.0],
        "boxes": [0.25, 0.75],
        "another": 0.0,
        "noise": "vector",
        "keep": "learnt",
        "critic_sees_hole": False,
        "mode_seeking_weight": 0.0,
        "merged_entropy_weight": 1.0,
        "novelty_weight": 1.0,
        "rounding": BALANCED,
    },
    "transplant": {
        "num_objects": [1, 4],
        "scale": [0.8, 2.2],
        "guided": True,
        "placing": "law",
        "classes": "auto",
        "whole": 0.3,
        "largest": 0.25,
        "min_pixels": 8,
        "per_class": 1000,
        "brightness": 0.5,
    },
    "cgan": GROWN | DRAWN,
    "palette_recovery": GROWN | DRAWN | {"recovery_weight": 1.0},
    "sbgan": GROWN | {"gumbel_temperature": 1.0, "fade": "blended"},
    "spade": HINGED | ENCODED | SEGMENTED,
    "oasis": {
        **PAINTER,
        "batch_size": 20,
        "max_channels": 1024,
        "hidden": 128,
        "noise": "image",
        "noise_produced": "image",
        "noise_channels": 64,
        "critic_depth": 6,
        "label_mix_weight": 5.0,
        "class_weight_power": 1.0,
        "class_weight_max": None,
        "reuse_fake": True,
        "init_gain": 0.02,
        "generator_lr": 4e-4,
        "critic_lr": 4e-4,
        "betas": [0.0, 0.999],
        "ema": 0.999,
    },
    "pix2pixhd": {
        **PAINTER,
        **PATCHES,
        "batch_size": 1,
        "num_doublings": 4,
        "num_blocks": 9,
        "init_std": 0.02,
        "edges": False,
        "features": None,
        "encoder_width": 16,
        "num_centres": 10,
        "enhancer_blocks": None,
        "global_images": 0,
        "enhancer_images": 0,
        "generator_lr": 2e-4,
        "critic_lr": 2e-4,
        "betas": [0.5, 0.999],
        "ema": 0.0,
    },
    "sean": HINGED | {"style_size": 512, "encoder_width": 32, "shared": False},
    "cc_fpse": {
        **{key: value for key, value in HINGED.items() if key not in PATCH_CRITIC},
        **ENCODED,
        "feature_matching_weight": 20.0,
        "layout_width": 64,
    },
    "sesame": {
        **{key: value for key, value in HINGED.items() if key not in DOUBLED},
        "batch_size": 4,
        "width": 64,
        "num_blocks": 4,
        "boxes": [0.25, 0.75],
        "whole": 0.5,
    },
    "safm": HINGED
    | {
        "class_weight_power": 1.0,
        "class_weight_max": None,
        "smallest_object": 4,
        "largest_object": 0.25,
        "alignment_weight": 1.0,
        "alignment_start": 0,
        "segmenter_width": 64,
        "segmenter_depth": 6,
    },
    "lggan": HINGED
    | {
        "batch_size": 8,
        "encoder_width": 64,
        "num_blocks": 9,
        "class_weight": 1.0,
        "local_weight": 1.0,
        "init_std": 0.02,
    },
    "crn": {
        "batch_size": 1,
        "num_doublings": 5,
        "width": 1024,
        "perceptual_weight": 10.0,
        "vgg": None,
        "pretrained": "efficientnet_lite0",
        "pixel_weight": 1.0,
        "init_gain": 1.0,
        "generator_lr": 1e-4,
        "betas": [0.9, 0.999],
        "ema": 0.0,
    },
    "bicyclegan": {
        **PAINTER,
        "batch_size": 2,
        "num_doublings": 7,
        "latent": 8,
        "encoder_width": 64,
        "kl_weight": 0.01,
        "pixel_weight": 10.0,
        "latent_weight": 0.5,
        "critic_sees_layout": False,
        "init_gain": 0.02,
        "generator_lr": 2e-4,
        "critic_lr": 2e-4,
        "betas": [0.5, 0.999],
        "ema": 0.0,
    },
    "regions": {
        "batch_size": 4,
        "pretrained": "efficientnet_lite0",
        "channels": [128, 128, 96, 48, 24, 16],
        "hidden": 16,
        "noise_channels": 4,
        "style_components": 16,
        "critic_width": 64,
        "perceptual_weight": 3.0,
        "pixel_weight": 3.0,
        "adversarial_weight": 0.3,
        "adversarial_start": 0,
        "adversarial_ramp": 1,
        "class_weight_power": 0.5,
        "class_weight_max": 10.0,
        "generator_lr": 1e-3,
        "critic_lr": 4e-4,
        "betas": [0.0, 0.9],
        "ema": 0.995,
    },
}
"""All numbers but the length of the training; Semantic Palette's for the layouts."""
PUBLISHED |= {
    "progan": {
        "latent": 512,
        "width": 512,
        "taper_from": 4,
        "lr": 1e-3,
        "betas": [0.0, 0.99],
        "ema": 0.999,
        "penalty_weight": 10.0,
        "drift_weight": 1e-3,
    },
    "biggan": {
        "batch_size": 256,
        "critic_steps": 2,
        "num_doublings": 5,
        "width": 96,
        "critic_width": 96,
        "noise": 20,
        "attention": 1,
        "orthogonal_weight": 1e-4,
        "truncation": None,
        "generator_lr": 5e-5,
        "critic_lr": 2e-4,
        "betas": [0.0, 0.999],
        "ema": 0.9999,
    },
}

TINY_GROWN = {"latent": 8, "width": 8}
TINY_PYRAMID = {"num_images": 8, "width": 4, "critic_width": 4, "hidden": 8}
TINY: dict[str, dict[str, Any]] = {
    "semantic_palette": TINY_GROWN,
    "partial_palette": TINY_GROWN
    | {"hidden": 8, "keep": "outside", "critic_sees_hole": True}
    | {"another": 0.5, "noise": "everywhere", "mode_seeking_weight": 0.1},
    "cgan": TINY_GROWN,
    "palette_recovery": TINY_GROWN,
    "sbgan": TINY_GROWN,
    "spade": TINY_PYRAMID,
    "oasis": TINY_PYRAMID | {"noise_channels": 4},
    "pix2pixhd": {"num_images": 8, "width": 4, "critic_width": 4, "num_blocks": 1},
    "sean": TINY_PYRAMID | {"style_size": 6, "encoder_width": 4},
    "cc_fpse": TINY_PYRAMID | {"layout_width": 4},
    "sesame": TINY_PYRAMID | {"num_blocks": 1},
    "safm": TINY_PYRAMID | {"segmenter_width": 4},
    "lggan": TINY_PYRAMID | {"encoder_width": 4, "num_blocks": 1},
    "crn": {"num_images": 8, "width": 6},
    "bicyclegan": {
        "num_images": 8,
        "width": 4,
        "critic_width": 4,
        "encoder_width": 4,
        "num_doublings": 5,
        "init_gain": 1.0,
    },
    "regions": {
        "num_images": 8,
        "channels": [8, 8, 4],
        "hidden": 8,
        "noise_channels": 2,
        "style_components": 3,
        "critic_width": 8,
    },
}
TINY |= {
    "progan": {"num_images": 24, "levels": [[0, 1, 4], [1, 1, 4]], "latent": 6, "width": 8},
    "biggan": {"num_images": 24, "batch_size": 3, "num_doublings": 2}
    | {"width": 4, "critic_width": 4, "noise": 3, "truncation": 0.8},
}
CODES = {"latent": 3, "encoder_width": 4, "encoder_halvings": 2}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "spade, codes": ("spade", CODES),
    "spade, segmentation critic": (
        "spade",
        {"segmentation_weight": 1.0, "segmentation_width": 4, "reuse_fake": False},
    ),
    "sean, shared": ("sean", {"shared": True}),
    "cc_fpse, codes": ("cc_fpse", CODES),
    "oasis, boxes": ("oasis", {"noise_produced": "box", "reuse_fake": False}),
    "pix2pixhd, features": ("pix2pixhd", {"edges": True, "features": 3, "encoder_width": 4}),
    "pix2pixhd, enhancer": ("pix2pixhd", {"enhancer_blocks": 1, "num_doublings": 2}),
}
"""Painters with options that their sections have off: the contract holds for these too."""
