"""How far apart images are for a pretrained network."""

import torch
from torch import Tensor, nn

from data.pretrained import Features, depth
from data.stage.params import Pretrained
from synth.nets.losses import weighted

TINY = 1e-3


def perceptual(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Return how far features are from those of real images: a mean over layers and images.

    L1 distance over the mean magnitude of the real one (Johnson et al., ECCV 2016, with the L1 of
    pix2pixHD and layers that weigh alike), image by image, so that a batch can be shared.
    """
    return torch.stack(_terms(fake, real, None)).mean()


def _terms(fake: list[Tensor], real: list[Tensor], weights: Tensor | None) -> list[Tensor]:
    """Return the distances `[B]` of images by layer, of pixels that weigh `[B, 1, H, W]`."""
    found = []
    for one, other in zip(fake, real, strict=True):
        apart = weighted((one.float() - other.float()).abs(), weights)
        magnitude = other.float().abs().mean((1, 2, 3)) + TINY
        found.append(apart.mean((1, 2, 3)) / magnitude)
    return found


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

    def look(self, images: Tensor) -> list[Tensor]:
        """Return the features that images [B,3,H,W] are compared in."""
        return self.features(images, depth((images.shape[2], images.shape[3])))

    def distances(
        self, fake: list[Tensor], real: list[Tensor], weights: Tensor | None = None
    ) -> Tensor:
        """Return how far images are from real ones, [B], of what `look` gives of both.

        `weights` [B,1,H,W] are those of pixels; the mean over images is the loss where all are 1.
        """
        return torch.stack(_terms(fake, real, weights)).mean(0)
