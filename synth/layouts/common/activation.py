"""Semantically-assisted activation: logits and a palette in, a soft layout of that palette out.

Each class spreads its share of the image over the positions (a spatial softmax), then every pixel
is normalised over the classes. `semantic_palette` uses the assisted form, `partial_palette` the one
with exact zeros, methods without it the softmax of every pixel. Everything is computed in float32,
also under autocast: a softmax over thousands of positions loses the small shares in bfloat16.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.training.method import rows

EPS = 1e-6
GUMBEL_EPS = 1e-5
ABSENT_BELOW = 0.002


@dataclass(frozen=True)
class Activation:
    """A soft layout with the densities it was made from, both float32 `[B, C, h, w]`.

    `soft` sums to 1 over the classes of each pixel. `mask` has the mean `share_c` over the
    positions of class c; it sums to 1 over the classes of a pixel only where the classes divide
    the image among themselves without overlap or gap (the spread loss asks for that).
    """

    soft: Tensor
    mask: Tensor

    def blend(self, coarse: "Activation", alpha: float) -> "Activation":
        """Return `(1 - alpha) * coarse + alpha * self`, entry by entry (fade of a new scale)."""
        return Activation(
            torch.lerp(coarse.soft, self.soft, alpha), torch.lerp(coarse.mask, self.mask, alpha)
        )


def assisted(logits: Tensor, share: Tensor, steps: int = 0) -> Activation:
    """Activate logits `[B, C, h, w]` under the palette `share` `[B, C]`, which sums to 1.

    mask_c = h w share_c softmax_positions(logits_c); soft = (mask + eps) / sum_c (mask + eps).
    Added: Sinkhorn's `steps`. Each gives soft_c the mean share_c again, which is the next mask, and
    normalises every pixel, so that soft layouts come near their palette before anything is learnt.
    """
    mask = densities(logits, share)
    soft = _normalised(mask)
    for _ in range(steps):
        mask = soft * (share / soft.mean((2, 3)))[:, :, None, None]
        soft = _normalised(mask)
    return Activation(soft, mask)


def _normalised(mask: Tensor) -> Tensor:
    raised = mask + EPS
    return raised * raised.sum(1, keepdim=True).reciprocal()


def assisted_present(logits: Tensor, share: Tensor, room: Tensor | None = None) -> Activation:
    """Activate as `assisted`, but classes with a share below 0.002 have probability exactly 0.

    As released for partial editing: logits `[B, C + 1, h, w]`, the last class keeps what is there.
    The largest of the others stays, however small. `share` is not changed. Added: `room` in [0, 1],
    of the shape of the logits, is how much of a cell a class may take; where that is nothing its
    probability is 0.
    """
    largest = share[:, :-1].max(1, keepdim=True).values
    present = ((share >= ABSENT_BELOW) | (share >= largest)) & (share > 0)
    if room is not None:  # where nothing else has room
        present = torch.cat([present[:, :-1], share[:, -1:] > 0], 1)
    mask = densities(logits, share * present, room)
    raised = mask + EPS * present[:, :, None, None] * (1.0 if room is None else room)
    return Activation(raised * raised.sum(1, keepdim=True).reciprocal(), mask)


def plain(logits: Tensor, share: Tensor) -> Activation:
    """Take the softmax of every pixel of `[B, C, h, w]`; the palette is not looked at."""
    soft = logits.float().softmax(1)
    return Activation(soft, soft)


def gumbel_onehot(soft: Tensor, temperature: float, rng: torch.Generator) -> Tensor:
    """Draw a class for every pixel of soft layouts `[B, C, h, w]`: one-hot, straight-through.

    Forward the argmax of ln(soft + 1e-5) + Gumbel noise, so that a class is drawn as often as it
    is probable; backward the gradient of softmax((ln(soft + 1e-5) + noise) / temperature) (Jang et
    al., 2017; Maddison et al., 2017). The 1e-5 is as released.
    """

    def wait(num: int) -> Tensor:
        # The order in memory is the order of the draw: that of the layouts.
        wide = soft if num == len(soft) else torch.cat([soft.detach()] * (num // len(soft)))
        waiting = torch.empty_like(wide, dtype=torch.float32, device=rng.device)
        return waiting.exponential_(generator=rng)

    noise = -rows(rng, len(soft), wait).log().to(soft.device)
    scores = (soft.float() + GUMBEL_EPS).log() + noise
    relaxed = (scores / temperature).softmax(1)
    hard = torch.zeros_like(relaxed).scatter_(1, scores.argmax(1, keepdim=True), 1.0)
    return hard + (relaxed - relaxed.detach())  # exactly 0 or 1


def densities(logits: Tensor, share: Tensor, room: Tensor | None = None) -> Tensor:
    """Spread each class' share over the positions: `[B, C, h, w]` with spatial mean `share`.

    With `room` a position counts as much as there is room for the class; a class without any is
    spread over all, and should have no share.
    """
    with torch.autocast(logits.device.type, enabled=False):
        mass = share.float() * logits[0, 0].numel()
        logits = logits.float()
        if room is not None:
            shut = (room == 0) & (room > 0).any((2, 3), keepdim=True)
            logits = torch.where(shut, -torch.inf, logits + room.clamp_min(EPS).log())
        return _over_positions(logits) * mass[:, :, None, None]


def _over_positions(logits: Tensor) -> Tensor:
    # In the order in which they lie in memory: turning them around costs as much as a convolution.
    if logits.is_contiguous():
        return logits.flatten(2).softmax(2).view(logits.shape)
    last = logits.movedim(1, -1)
    return last.flatten(1, 2).softmax(1).view(last.shape).movedim(-1, 1)


def without_traces(share: Tensor, num_pixels: int) -> Tensor:
    """Zero shares `[B, C]` below a pixel, renormalise (`--s_filter_cond` of the released code)."""
    kept = torch.where(share * num_pixels < 1, torch.zeros_like(share), share)
    return kept / kept.sum(1, keepdim=True)
