"""How far apart images are for a pretrained network."""

import torch
from torch import Tensor, nn

from data.pretrained import Features, depth
from data.stage.params import Pretrained

TINY = 1e-3


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


class FeatureLoss(nn.Module):
    """The perceptual loss on pretrained features, in the place of that on VGG-19."""

    def __init__(self, name: Pretrained) -> None:
        super().__init__()
        self.features = Features(name)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Compare fake with real, both [B,3,H,W] in [-1,1]; gradient reaches fake only."""
        deepest = depth((fake.shape[2], fake.shape[3]))
        with torch.no_grad():
            wanted = self.features(real, deepest)
        return perceptual(self.features(fake, deepest), wanted)
