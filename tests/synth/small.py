"""Settings of every method, as published and small enough for tests, and artifacts made of them."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Batch
from data.pairs.classes import ClassTable
from data.pairs.pairset import PairSet
from data.stage.params import Params
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.layouts.common.entry import Material
from synth.making import drawing
from synth.painters import PAINTERS
from synth.painters.common.bank import StyleBank
from synth.training import artifact
from synth.training.method import Given, Palettes

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
LEVELS = [[0, 8, 4], [4, 4, 4], [4, 4, 4], [4, 4, 4]]
"""Four levels of a size that has four or more."""

JOINT = {
    "batch_size": 4,
    "layout_weight": 1.0,
    "image_critic_weight": 0.01,
    "freeze_layout": False,
    "critic_width": 64,
    "critic_layers": 3,
    "critic_scales": 2,
    "layout_lr": 1e-4,
    "layout_critic_lr": 1e-4,
    "layout_betas": [0.0, 0.99],
    "painter_lr": 1e-4,
    "painter_critic_lr": 4e-4,
    "painter_betas": [0.0, 0.9],
    "image_critic_lr": 4e-4,
    "image_critic_betas": [0.0, 0.9],
    "ema": 0.999,
}
"""Section 4.2 of Semantic Palette's notes, with an average."""

# Batch, multiplier and resolution of the released schedule (street scenes, full generator).
PAPER_LEVELS = (
    (4, 1024, 4),
    (8, 512, 3),
    (16, 256, 3),
    (32, 64, 2),
    (64, 16, 2),
    (128, 8, 1),
    (256, 16, 1),
    (512, 8, 1),
    (1024, 4, 1),
)

PALETTE = {
    "min_components": 1,
    "max_components": 1,
    "chosen_by": "aic",
    "covariance_floor": 1e-3,
    "projection": "simplex",
    "seed": 0,
}
COMPUTE = {"precision": "fp32", "channels_last": False, "threads": 1}
FAST = {"precision": "bf16", "channels_last": True, "threads": 1}
TRAINING = {
    "seed": 0,
    "flip": True,
    "save_every": 2,
    "log_every": 2,
    "max_skipped": 10,
}

LAYOUTS_TRAINED = tuple(name for name, entry in LAYOUTS.items() if entry.build)
LAYOUTS_FITTED = tuple(name for name, entry in LAYOUTS.items() if entry.fit)
PAINTERS_TRAINED = tuple(name for name, entry in PAINTERS.items() if entry.build)
FOLLOW = tuple(name for name, entry in LAYOUTS.items() if entry.makes_whole)
EDITORS = tuple(name for name, entry in LAYOUTS.items() if entry.edits)
JOINED_LAYOUTS = tuple(name for name, entry in LAYOUTS.items() if entry.joins)
JOINED_PAINTERS = tuple(name for name, entry in PAINTERS.items() if entry.joins)


def entry_of(name: str) -> Any:
    return LAYOUTS[name] if name in LAYOUTS else PAINTERS[name]


def numbers(name: str, *, published: bool = False, **changes: Any) -> dict[str, Any]:
    """Return the section of a method, small unless `published`."""
    return PUBLISHED[name] | ({} if published else TINY.get(name, {})) | changes


def known(name: str, **changes: Any) -> dict[str, Any]:
    """Return those of some settings that a method has a key for."""
    fields = entry_of(name).Config.model_fields
    return {key: value for key, value in changes.items() if key in fields}


def config(name: str, *, published: bool = False, **changes: Any) -> Params:
    return entry_of(name).Config(**numbers(name, published=published, **changes))


def build(
    name: str, given: Given, *, published: bool = False, num_looks: int = 12, **changes: Any
) -> Any:
    """Build a method; its banks are given `num_looks` looks each."""
    method = entry_of(name).build(config(name, published=published, **changes), given)
    for net in method.nets.values():
        if isinstance(net, StyleBank):
            fill(net, num_looks)
    return method


def fill(bank: StyleBank, count: int) -> None:
    """Fill a bank with looks of `count` pairs, each of which lacks some classes."""
    rng = torch.Generator().manual_seed(0)
    classes, size = bank.styles.shape[1:]
    shown = torch.rand(count, classes, generator=rng) < 0.7
    styles = torch.randn(count, classes, size, generator=rng) * shown[..., None]
    state = {"styles": styles, "shown": shown}
    bank.load_state_dict(bank.state_dict() | state)


def doublings(name: str, count: int) -> dict[str, Any]:
    """Return the settings of a painter whose coarsest grid doubles so often."""
    fields = PAINTERS[name].Config.model_fields
    if "channels" in fields:
        return {"channels": [4] * (count + 1)}
    return {"num_doublings": count} if "num_doublings" in fields else {}


def joint_config(**changes: Any) -> joint.Config:
    return joint.Config(**JOINT | {"num_images": 8, "warm_up_images": 0} | changes)


def paper_steps(num_pairs: int) -> list[tuple[int, int, int]]:
    """Return (resolution, steps per phase, cumulative iterations) of the released schedule.

    steps = multiplier * int(150 num_pairs / batch); 4 pixels is only stabilised, every other
    resolution fades and then stabilises, each for that many steps.
    """
    table, total = [], 0
    for resolution, batch_size, multiplier in PAPER_LEVELS:
        steps = multiplier * int(150 * num_pairs / batch_size)
        total += steps * (1 if resolution == PAPER_LEVELS[0][0] else 2)
        table.append((resolution, steps, total))
    return table


def write_params(folder: Path, **sections: Any) -> str:
    """Write params.yaml with small `palette`, `compute` and `training`; JSON is YAML too."""
    usual = {"palette": PALETTE, "compute": COMPUTE, "training": TRAINING}
    text = json.dumps(usual | sections, indent=1)
    (folder / "params.yaml").write_text(text)
    return text


def write_artifact(
    out: Path,
    name: str,
    classes: ClassTable,
    size: tuple[int, int],
    palettes: Palettes | None = None,
    measures: dict[str, float] | None = None,
    num_looks: int = 10,
    train: Path | None = None,
    **changes: Any,
) -> None:
    """Write the artifact of a method as initialised: what follows needs no training.

    One that is fitted is, on the pairs of `train`.
    """
    entry = entry_of(name)
    if "levels" in entry.Config.model_fields:
        changes = {"levels": LEVELS} | changes
    settings = config(name, **changes)
    trained = None
    if entry.build:
        given = Given(classes.num_classes, size, palettes)
        method = build(name, given, num_looks=num_looks, **changes)
        kept = nn.ModuleDict({net: method.nets[net] for net in method.kept})
        curve = [{"images": 4}]
        trained = artifact.Trained(kept, artifact.critics_of(method), curve, measures or {})
    out.mkdir(parents=True, exist_ok=True)
    description = artifact.Description(name, settings.model_dump(mode="json"), classes, size, "f")
    if name in LAYOUTS_FITTED:
        assert train is not None, "objects are cut from real pairs"
        material = Material(PairSet(train), PairSet(train), flip=True)
        artifact.write_bank(out, description, entry.fit(settings, material).tensors())
        return
    artifact.write(out, description, trained)


def batch_of(image: torch.Tensor, label: torch.Tensor) -> Batch:
    """Return a batch of pairs 0, 1, 2 and so on, none of them mirrored."""
    row = torch.arange(len(label))
    return Batch(image, label, row, torch.zeros_like(row, dtype=torch.bool))


def make_pairs(ready, indices, seed, again=0):
    """The pairs of some indices, one batch."""
    painted = drawing.paint(ready, indices, seed, again)
    return [painted.pair(slot) for slot in range(len(indices))]
