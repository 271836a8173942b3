"""Losses that two or more methods share, as pure functions; all of them compute in float32."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from data.stage.errors import UserError
from synth.training.method import rows


def hinge_critic(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Push scores `[B,1,h,w]` of real above 1, of fake below -1; a mean over scales."""
    terms = [
        F.relu(1 - r.float()).mean() + F.relu(1 + f.float()).mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def hinge_generator(fake: list[Tensor]) -> Tensor:
    """Raise the critic's scores `[B,1,h,w]` of fake; a mean over scales."""
    return torch.stack([-f.float().mean() for f in fake]).mean()


def feature_matching(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Draw the critic's features of fake towards those of real (pix2pixHD, eq. 4).

    Features [B,K,h,w] by scale, then by layer. Layers are summed and scales averaged, as released;
    `real` gets no gradient.
    """
    terms = [
        torch.stack(
            [(f.float() - r.detach().float()).abs().mean() for r, f in zip(rs, fs, strict=True)]
        ).sum()
        for rs, fs in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def class_weights(layout: Tensor, *, power: float, most: float | None) -> Tensor:
    """Weigh the classes of a batch by inverse frequency: (P / (K n_c)) ** power, at most `most`.

    layout [B,C,H,W], one-hot or soft; P pixels, n_c of them of class c, K classes present. Returns
    [C]; an absent class weighs 0. The factor 1/K is in OASIS's released code, not in its paper;
    there `power` is 1 and nothing is capped.
    """
    count = layout.detach().float().sum((0, 2, 3))
    present = count > 0
    weights = (count.sum() / (present.sum() * count.clamp_min(1e-6))) ** power
    return torch.where(present, weights if most is None else weights.clamp_max(most), 0.0)


def real_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Ask the segmentation critic for the class of every pixel: mean_p w_y CE(l_p, y_p + 1).

    logits [B,1+C,H,W]; target a label map [B,H,W] int64 or a layout [B,C,H,W], one-hot or soft
    (the forms agree on a one-hot); weights [C]. The mean is over pixels, not over weights, as
    released.
    """
    log_probability = _log_probability(logits)[..., 1:]
    if target.dim() == 3:
        chosen = log_probability.gather(-1, target[..., None])[..., 0]
        return -(weights.float()[target] * chosen).mean()
    per_class = (target.float().movedim(1, -1) * log_probability).sum((0, 1, 2))
    return -(weights.float() @ per_class) / log_probability[..., 0].numel()


def fake_cross_entropy(logits: Tensor) -> Tensor:
    """Ask the critic to call every pixel fake, channel 0 of `[B,1+C,H,W]`: mean_p CE(l_p, 0)."""
    return -_log_probability(logits)[..., 0].mean()


def _log_probability(logits: Tensor) -> Tensor:
    # [B,H,W,1+C]: softmax over the last axis needs no copy of channels-last logits.
    return F.log_softmax(logits.float().movedim(1, -1), -1)


def label_mix_mask(label: Tensor, num_classes: int, rng: torch.Generator) -> Tensor:
    """Flip a coin per image and class and look it up by label [B,H,W]: mask [B,1,H,W], 1 = real.

    One table per image; the released code draws one per batch and lets the ids 0 and 1 collide.
    """

    def flip(num: int) -> Tensor:
        return torch.randint(0, 2, (num, num_classes), generator=rng, device=rng.device)

    coins = rows(rng, label.shape[0], flip)
    chosen = coins.to(label.device).gather(1, label.flatten(1)).view_as(label)
    return chosen[:, None].float()


def label_mix(mixed: Tensor, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """Ask that the critic's logits of a mix are the mix of its logits (OASIS, LabelMix, eq. 4).

    Mean square difference; logits [B,1+C,H,W], mask [B,1,H,W]. The target keeps its gradient, as
    released.
    """
    return (mixed.float() - (mask * real.float() + (1 - mask) * fake.float())).square().mean()


def weighted(apart: Tensor, weights: Tensor | None) -> Tensor:
    """Multiply differences [B,K,h,w] by the weights of pixels [B,1,H,W]; None weighs all alike."""
    if weights is None:
        return apart
    return apart * F.interpolate(weights, apart.shape[2:], mode="area")


# VGG-19 up to relu5_1: output channels, "M" for a max-pool.
_VGG = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512)
# Indices of relu1_1, 2_1, 3_1, 4_1, 5_1 in that stack, and their weights (SPADE, as released).
_VGG_TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}


class Perceptual(nn.Module):
    """Mean absolute difference of VGG-19 features, weighted by depth (pix2pixHD, SPADE).

    Images in [-1,1] enter without ImageNet's mean and deviation, as released. Weights are frozen.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for item in _VGG:
            if isinstance(item, int):
                layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
                channels = item
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.requires_grad_(False)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Compare fake with real, both [B,3,H,W]; gradient reaches fake only."""
        loss = fake.new_zeros(())
        for index, layer in enumerate(self.features):
            fake = layer(fake)
            with torch.no_grad():
                real = layer(real)
            if index in _VGG_TAPS:
                loss = loss + _VGG_TAPS[index] * (fake.float() - real.float()).abs().mean()
        return loss

    def look(self, images: Tensor) -> list[Tensor]:
        """Return the features that images [B,3,H,W] are compared in."""
        found = []
        for index, layer in enumerate(self.features):
            images = layer(images)
            if index in _VGG_TAPS:
                found.append(images)
        return found

    def distances(
        self, fake: list[Tensor], real: list[Tensor], weights: Tensor | None = None
    ) -> Tensor:
        """Return how far images are from real ones, [B], of what `look` gives of both.

        `weights` [B,1,H,W] are those of pixels; the mean over images is the loss where all are 1.
        """
        terms = [
            share * weighted((one.float() - other.float()).abs(), weights).mean((1, 2, 3))
            for share, one, other in zip(_VGG_TAPS.values(), fake, real, strict=True)
        ]
        return torch.stack(terms).sum(0)


def load_perceptual(path: Path) -> Perceptual:
    """Read VGG-19 weights from .safetensors or torchvision's .pth (`vgg19-dcbb9e9d.pth`)."""
    if not path.is_file():
        raise UserError(
            f"VGG-19 weights {path} not found; give a .safetensors or .pth file with torchvision's "
            "names (features.0.weight, ...), or set vgg to null for no perceptual term"
        )
    if path.suffix == ".safetensors":
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    perceptual = Perceptual()
    wanted = perceptual.state_dict()
    wrong = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        raise UserError(
            f"{path} does not hold VGG-19: {wrong[0]} is missing or of another shape; "
            "torchvision's names are expected (features.0.weight, ...)"
        )
    perceptual.load_state_dict({key: state[key] for key in wanted})
    return perceptual
