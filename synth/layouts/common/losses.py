"""Losses and the measure of the layout methods, and the real layouts as their critic sees them."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from data.pairs.batches import onehot
from synth.layouts.common.activation import Activation
from synth.training.method import Palettes, generator, rows

LOG_EPS = 1e-5
NUM_MEASURED = 256
CLOSEST = 0.01  # what is nearer counts as so near: the inverse of nothing has no end

Blur = Literal["symmetric", "released"]


def entropy(soft: Tensor) -> Tensor:
    """Mean over the pixels of m `[B, C, h, w]` of `-sum_c m ln(m + 1e-5)`, the 1e-5 as released."""
    return -(soft * (soft + LOG_EPS).log()).sum(1).mean()


def spread(mask: Tensor) -> Tensor:
    """Mean over pixels of `(sum_c mask - 1)^2`, mask `[B, C, h, w]`; 0: the palette is met."""
    return (mask.sum(1) - 1).square().mean()


def recovery(soft: Tensor, share: Tensor) -> Tensor:
    """KL in nats of palettes `[B, C]` asked for against the mean of soft layouts `[B, C, h, w]`.

    Mean over the batch of sum_c t (ln t - ln(q + 1e-5)); the 1e-5 is as released.
    """
    got = soft.float().mean((2, 3))
    return (torch.xlogy(share, share) - share * (got + LOG_EPS).log()).sum(1).mean()


def mode_seeking(soft: Tensor, where: Tensor, z: Tensor) -> Tensor:
    """How alike layouts are that differ in their noise alone, a mean over pairs; small is better.

    Items 0 and 1, 2 and 3, ... of `soft` `[B, C, h, w]` were made of the same and of noise z
    `[B, n]`. The inverse of their distance over that of their noise (MSGAN, Mao et al., CVPR 2019):
    the distance is half the sum over classes, a mean over `where` `[B, 1, h, w]`, 1 for layouts
    that agree nowhere. Pairs with nothing in `where`, and an odd last item, do not count.
    """
    pairs = len(soft) // 2 * 2
    (a, b), (one, two) = ((part[:pairs:2], part[1:pairs:2]) for part in (soft.float(), z))
    weight = where[:pairs:2, 0]
    area = weight.sum((1, 2))
    apart = 0.5 * ((a - b).abs().sum(1) * weight).sum((1, 2)) / area.clamp_min(1)
    ratio = apart / (one - two).abs().mean(1)
    return ((area > 0) / (ratio + CLOSEST)).sum() / max(1, pairs // 2)


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

    E[D(fake)] - E[D(real)] and weight * `gradient_penalty`, whose sum is descended.
    """
    scores = critic(torch.cat([fake, real])).float()
    wasserstein = scores[: len(fake)].mean() - scores[len(fake) :].mean()
    penalty = gradient_penalty(critic, real, fake, rng)
    return {"wasserstein": wasserstein, "penalty": weight * penalty}


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator
) -> Tensor:
    """Return E[(|grad D(u real + (1 - u) fake)| - 1)^2] on layouts, one u per sample.

    Its descent takes a second derivative, so it is computed in float32.
    """
    u = rows(rng, len(real), lambda n: torch.rand(n, 1, 1, 1, generator=rng, device=rng.device))
    mixed = torch.lerp(fake, real, u.to(real.device)).requires_grad_(True)
    with torch.autocast(mixed.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return (torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1).square().mean()


def soften(layout: Tensor, *, line: Tensor, share: float = 0.5) -> Tensor:
    """Blur a one-hot layout `[B, C, h, w]`: `(1 - share) * layout + share * (kernel * layout)`.

    The kernel is the outer product of `line` with itself; reflect padding, class by class. With a
    share of at most 0.5 the argmax stays what it was.
    """
    # Two small matrices instead of a convolution: several times faster with one channel a filter.
    down, across = (_blur_matrix(side, line).to(layout) for side in layout.shape[2:])
    with torch.autocast(layout.device.type, enabled=False):
        if layout.is_contiguous():
            return torch.lerp(layout, down @ layout @ across.T, share)
        last = layout.movedim(1, -1)  # classes lie side by side: they stay there
        blurred = across @ (down @ last.flatten(2)).view(last.shape)
        return torch.lerp(layout, blurred.movedim(-1, 1), share)


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


def blurred_layout(label: Tensor, num_classes: int, size: tuple[int, int], blur: Blur) -> Tensor:
    """Reduce as `real_layout` and blur, as critics of soft layouts see real ones `[B, C, h, w]`."""
    layout = real_layout(label, num_classes, size)
    return soften(layout, line=blur_line(min(size), kind=blur))


@torch.no_grad()
def kl_argmax(
    sample: Callable[[Tensor, list[torch.Generator]], Tensor],
    palettes: Palettes,
    device: torch.device,
) -> float:
    """KL in nats of asked palettes against argmax layouts, over 256 palettes of the fitted law.

    `sample(palette, rngs)` draws soft layouts. The made shares are raised by 1e-6 (section 7 of
    the released tester). Nothing is rounded to its palette: that would hide what was learnt.
    """
    found = []
    for first in range(0, NUM_MEASURED, 16):
        rngs: list[torch.Generator] = [generator(first + item, device=device) for item in range(16)]
        target = torch.from_numpy(palettes.sample(16, first)).to(device)
        label = sample(target, rngs).argmax(1)
        made = onehot(label, palettes.num_classes).mean((2, 3)) + 1e-6
        ratio = (target.clamp_min(1e-12) / (made / made.sum(1, keepdim=True))).log()
        found.append((target * ratio).sum(1))
    return round(float(torch.cat(found).mean()), 4)
