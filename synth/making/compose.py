"""Put together the image of a pair from what was painted and what is real."""

import torch
from torch import Tensor


def composite(image: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """Return `painted` where `mask` is true and `image` elsewhere, value for value.

    Images are `[B, 3, H, W]` of one type, the mask is bool `[B, H, W]`.
    """
    return torch.where(mask[:, None], painted, image)
