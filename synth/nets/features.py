"""What a pretrained network sees in images: frozen features, and distances between them."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from data import pretrained
from data.pretrained import ConvNorm, Pretrained

TINY = 1e-3


class Features(nn.Module):
    """Frozen ImageNet features of images at strides 2, 4, 8, 16 and 32; gradients reach the images.

    Its batch norms are those of ImageNet and are folded into the convolutions; it stays in eval
    mode whatever happens around it.
    """

    channels = pretrained.CHANNELS
    strides = pretrained.STRIDES

    def __init__(self, name: Pretrained) -> None:
        super().__init__()
        self.net = pretrained.load(name).eval()
        for module in self.net.modules():
            if isinstance(module, ConvNorm):
                _fold(module)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Features":
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor, deepest: int = 5) -> list[Tensor]:
        """Return features of images `[B, 3, H, W]` in [-1, 1] at the first `deepest` strides."""
        # depthwise convolutions in bfloat16 take a CPU half as long again as in float32
        with torch.autocast("cpu", enabled=False):
            return self.net(images, deepest)


def perceptual(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Return how far features are from those of real images: a mean over layers and images.

    L1 distance over the mean magnitude of the real one (Johnson et al., ECCV 2016, with the L1 of
    pix2pixHD and layers that weigh alike), image by image, so that a batch can be shared.
    """
    terms = [
        (one.float() - other.float()).abs().mean((1, 2, 3))
        / (other.float().abs().mean((1, 2, 3)) + TINY)
        for one, other in zip(fake, real, strict=True)
    ]
    return torch.stack(terms).mean()


def _fold(block: ConvNorm) -> None:
    at, conv = next((i, m) for i, m in enumerate(block) if isinstance(m, nn.Conv2d))
    norm = block[at + 1]
    assert isinstance(norm, nn.BatchNorm2d), "a norm follows the convolution"
    block[at] = fuse_conv_bn_eval(conv, norm)
    block[at + 1] = nn.Identity()
