"""Losses of the layout methods, and the real layouts as their critic sees them."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from data.batches import onehot
from synth.layouts.activation import Activation

LOG_EPS = 1e-5

Blur = Literal["symmetric", "released"]


def entropy(soft: Tensor) -> Tensor:
    """Mean over pixels of `-sum_c m ln(m + 1e-5)`; the 1e-5 is as released, not the paper."""
    return -(soft * (soft + LOG_EPS).log()).sum(1).mean()


def spread(mask: Tensor) -> Tensor:
    """Mean over pixels of `(sum_c mask - 1)^2`; 0 means that the palette is met exactly."""
    return (mask.sum(1) - 1).square().mean()


def over_scales(scales: list[Activation], term: Callable[[Activation], Tensor]) -> Tensor:
    """Sum a term over all scales, each a mean over its own pixels (`inter`, as released)."""
    return torch.stack([term(scale) for scale in scales]).sum()


def critic_terms(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    *,
    weight: float,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """Return the critic's WGAN-GP terms on layouts `[B, C, h, w]`: `wasserstein` and `penalty`.

    E[D(fake)] - E[D(real)] + weight * E[(|grad D(u real + (1 - u) fake)| - 1)^2], one u per
    sample. The penalty is a second derivative and is taken in float32.
    """
    scores = critic(torch.cat([fake, real])).float()
    wasserstein = scores[: len(fake)].mean() - scores[len(fake) :].mean()
    u = torch.rand(len(real), 1, 1, 1, generator=rng, device=rng.device).to(real.device)
    mixed = torch.lerp(fake, real, u).requires_grad_(True)
    with torch.autocast(mixed.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return {"wasserstein": wasserstein, "penalty": weight * penalty}


def soften(layout: Tensor, *, line: Tensor, share: float = 0.5) -> Tensor:
    """Blur a one-hot layout `[B, C, h, w]`: `(1 - share) * layout + share * (kernel * layout)`.

    The kernel is the outer product of `line` with itself; reflect padding, class by class. With a
    share of at most 0.5 the argmax stays what it was.
    """
    # Two small matrices instead of a convolution: several times faster with one channel a filter.
    down, across = (_blur_matrix(side, line).to(layout) for side in layout.shape[2:])
    with torch.autocast(layout.device.type, enabled=False):
        return torch.lerp(layout, down @ layout @ across.T, share)


def blur_line(height: int, *, kind: Blur, top: int = 1024) -> Tensor:
    """Return the normalised line `[n]` of the blur kernel for layouts of a height in pixels.

    exp(-d^2) with n = 3 at 4 pixels, 5 for 8 to 256, 7 at 512 and 11 at 1024; its sigma only sets
    the size. `released` is centred one pixel too low and too far right, as the released code.
    """
    size = int(min(max(8 * height / top, 2) + 3, height - 1))
    size = max(3, size - 1 + size % 2)
    centre = size // 2 + (1 if kind == "released" else 0)
    line = torch.exp(-(torch.arange(size, dtype=torch.float32) - centre).square())
    return line / line.sum()


def _blur_matrix(side: int, line: Tensor) -> Tensor:
    reach = len(line) // 2
    padded = F.pad(torch.eye(side)[:, None], (reach, reach), mode="reflect")
    return F.conv1d(padded, line[None, None])[:, 0].T


def real_layout(label: Tensor, num_classes: int, size: tuple[int, int]) -> Tensor:
    """Reduce labels int64 `[B, H, W]` to one-hot `[B, C, h, w]` by taking the nearest pixel."""
    step = label.shape[1] // size[0]
    return onehot(label[:, step // 2 :: step, step // 2 :: step], num_classes)
