"""An image encoder and its codes: the look of a whole real image as a point near the origin.

As in a variational autoencoder (Kingma and Welling, ICLR 2014), and as SPADE, CC-FPSE and
BicycleGAN use it: in training a layout is painted with the code of its own image, at production
with that of any training image, from a bank that is filled when training ends.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, Stream
from data.stage.params import Params
from synth.nets.layers import activate, conv, linear
from synth.painters.common.adversarial import Adversarial
from synth.painters.common.bank import StyleBank, bank_of
from synth.training.method import PaintRequest, noise, rand

COARSEST = 4  # pixels a side before the last layer


class EncoderParams(Params):
    """The keys of an image encoder; `latent` is the length of its codes, null for no encoder."""

    latent: int | None = Field(ge=1)
    encoder_width: int = Field(ge=1)
    encoder_halvings: int = Field(ge=1, le=7)
    kl_weight: float = Field(ge=0)

    def encoding(self) -> dict[str, nn.Module]:
        """Build the encoder `E` and an empty bank of codes, nothing where there is no encoder."""
        if self.latent is None:
            return {}
        encoder = ImageEncoder(self.encoder_width, self.encoder_halvings, self.latent)
        return {"E": encoder, "bank": StyleBank(1, self.latent)}


class ImageEncoder(nn.Module):
    """Mean and log-variance of the code of an image, as SPADE's encoder gives them.

    Convolutions of stride 2 with spectral and instance norm, channels doubling from `width` to 8
    times that; images are first resized so that 4x4 pixels are left. As published: six from 64.
    """

    def __init__(self, width: int, num_halvings: int, latent: int) -> None:
        super().__init__()
        outs = [width * min(8, 2**index) for index in range(num_halvings)]
        self.side = COARSEST * 2**num_halvings
        self.layers = nn.ModuleList(
            conv(i, o, 3, spectral=True, bias=False, stride=2)
            for i, o in zip([3, *outs[:-1]], outs, strict=True)
        )
        self.mean, self.log_variance = (linear(outs[-1] * COARSEST**2, latent) for _ in range(2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance `[B, Z]` of images `[B, 3, H, W]`, float32."""
        x = F.interpolate(image, (self.side, self.side), mode="bilinear", align_corners=False)
        for layer in self.layers:
            x = activate(F.instance_norm(layer(x)))
        flat = x.flatten(1)
        return self.mean(flat).float(), self.log_variance(flat).float()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of codes `[B, Z]` from the standard normal law, a mean over images.

    Released code sums over the batch: its weight times the batch size is the weight here.
    """
    terms = 1 + log_variance - mean.square() - log_variance.exp()
    return -0.5 * terms.sum(1).mean()


def spread(mean: Tensor, log_variance: Tensor, rng: torch.Generator) -> Tensor:
    """Draw codes `[B, Z]` of images from their laws."""
    drawn = noise(rng, *mean.shape).to(mean)
    return mean + drawn * (0.5 * log_variance).exp()


class Encoding(Adversarial, Protocol):
    """A painter that may have an encoder `E` and a bank of its codes."""


def own_code(
    method: Encoding, image: Tensor, rng: torch.Generator
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Draw the codes `[B, Z]` of images, and their divergence as a weighted term `kl`.

    Without an encoder there is no code, and no term.
    """
    if "E" not in method.nets:
        return None, {}
    mean, log_variance = method.nets["E"](image)
    kl = method.config.kl_weight * divergence(mean, log_variance)
    return spread(mean, log_variance, rng), {"kl": kl}


def asked_code(
    nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
) -> Tensor | None:
    """Return the codes `[B, Z]` that a request asks for, None without an encoder."""
    if "bank" not in nets:
        return None
    bank = bank_of(nets)
    numbers = rand(rngs, (2,)).to(bank.styles.device)
    return bank.asked(request.style, numbers)[:, 0]


def request_own(method: Encoding, batch: Batch, rng: torch.Generator) -> PaintRequest:
    """Return the layouts of real pairs, and the codes of their images where there is an encoder."""
    if "E" not in method.nets:
        return PaintRequest(batch.label)
    mean, _ = method.nets["E"](batch.image)
    return PaintRequest(batch.label, mean[:, None])


def fill_codes(method: Encoding, nets: nn.ModuleDict, stream: Stream) -> None:
    """Fill the bank with the codes of all training images, where there is an encoder."""
    if "bank" not in nets:
        return

    def encode(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        mean, _ = nets["E"](images)
        return mean[:, None], torch.ones(len(mean), 1, dtype=torch.bool, device=mean.device)

    bank_of(nets).fill(stream, encode)


def has_encoder(config: Any) -> bool:
    """Say whether a painter of this `EncoderParams` takes a style."""
    return config.latent is not None
