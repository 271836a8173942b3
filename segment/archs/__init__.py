"""Architectures as plain model configs of MMSegmentation: a file each, and a line here."""

from data.stage.errors import UserError
from data.stage.params import choose
from segment.archs import deeplabv3, efficientnet, resnet18, segformer
from segment.archs.common import BACKBONE_LR, Arch, ModelConfig, complete
from segment.archs.shipped import SHIPPED, adapt

__all__ = ["ARCHS", "BACKBONE_LR", "SHIPPED", "Arch", "ModelConfig", "adapt", "complete", "find"]

ARCHS = {
    "resnet18_mlp": resnet18.MLP,
    "efficientnet_lite0_mlp": efficientnet.MLP,
    "resnet18_fpn": resnet18.FPN,
    "segformer_b0": segformer.B0,
    "deeplabv3_r50": deeplabv3.R50,
    "deeplabv3_r101": deeplabv3.R101,
}


def find(name: str) -> Arch:
    """Return a registry entry; an unknown name lists what there is."""
    if name.startswith(SHIPPED):
        raise UserError(f"{name} is a config of MMSegmentation and has no options here")
    return choose(name, ARCHS, f"arch (or {SHIPPED}<family>/<config>.py)")
