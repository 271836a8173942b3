"""Critics: patches judged real or fake at several scales, and pixels named by class or "fake"."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.layers import activate, conv


class PatchCritic(nn.Module):
    """Score overlapping patches (the PatchGAN of pix2pixHD and SPADE).

    Kernel 4, padding 2, channels doubling from `width`, strides 2, 2, 2 and 1; instance norm on the
    inner layers only, and there spectral norm too when it is SPADE's (`spectral`). `num_layers` 4
    is the papers', 3 leaves out the stride-1 layer (Semantic Palette).
    """

    def __init__(
        self, in_channels: int, width: int, num_layers: int, *, spectral: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv(in_channels, width, 4, stride=2, padding=2)]
        channels = width
        for index in range(1, num_layers):
            out = min(2 * channels, 8 * width)
            # SPADE's convolutions before an instance norm carry no bias: the norm would remove it.
            # Those of pix2pixHD do, as released.
            layers.append(
                nn.Sequential(
                    conv(
                        channels,
                        out,
                        4,
                        spectral=spectral,
                        bias=not spectral,
                        stride=2 if index < 3 else 1,
                        padding=2,
                    ),
                    nn.InstanceNorm2d(out),
                )
            )
            channels = out
        self.layers = nn.ModuleList(layers)
        self.head = conv(channels, 1, 4, padding=2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the score map [B,1,h,w] and the features of every layer but the last."""
        features = _through(self.layers, x)
        return self.head(features[-1]), features


class MultiScalePatchCritic(nn.Module):
    """Judge an image with its layout at full size, half size and so on, one critic each."""

    def __init__(
        self,
        in_channels: int,
        *,
        width: int,
        num_layers: int,
        num_scales: int,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchCritic(in_channels, width, num_layers, spectral=spectral)
            for _ in range(num_scales)
        )

    def forward(self, image: Tensor, layout: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return per scale the score map and the list of features.

        image [B,3,H,W]; layout [B,C,H,W], one-hot or soft, concatenated before it.
        """
        x = torch.cat([layout, image], 1)
        scores, features = [], []
        for index, critic in enumerate(self.scales):
            if index:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            score, inner = critic(x)
            scores.append(score)
            features.append(inner)
        return scores, features


class SegmentationCritic(nn.Module):
    """Answer, for every pixel, "fake" (channel 0) or its class (channel 1 + c): OASIS's critic.

    A U-Net of residual blocks with spectral norm and no other norm; `depth` halvings, 6 in the
    paper.
    """

    def __init__(self, num_classes: int, *, width: int, depth: int) -> None:
        super().__init__()
        # 1, 2, 2, 4, 4, 8, 8 times the width: index = number of halvings.
        channels = [width] + [width * min(8, 2 ** (level // 2 + 1)) for level in range(depth)]
        self.down = nn.ModuleList(
            _Down(3 if level == 1 else channels[level - 1], channels[level], first=level == 1)
            for level in range(1, depth + 1)
        )
        self.up = nn.ModuleList(
            _Up(channels[level] * (1 if level == depth else 2), channels[level - 1])
            for level in range(depth, 0, -1)
        )
        self.head = conv(channels[0], num_classes + 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B,1+num_classes,H,W] for an image [B,3,H,W]."""
        x, skips = image, []
        for block in self.down:
            x = block(x)
            skips.append(x)
        skips.pop()
        for index, block in enumerate(self.up):
            if index:
                x = torch.cat([x, skips.pop()], 1)
            x = block(x)
        return self.head(x)


class FeatureCritic(nn.Module):
    """Name the class of every pixel, or "fake", from frozen features and the image itself.

    A decoder that sums features from coarse to fine (Projected GANs' top-down mixing) and ends at
    stride 2, the finest of the features; `channels` are theirs, finest first.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.inward = nn.ModuleList(conv(its, width, 1, spectral=True) for its in channels)
        self.layers = nn.ModuleList(conv(width, width, 3, spectral=True) for _ in channels)
        self.pixels = conv(3, width // 2, 4, spectral=True, stride=2, padding=1)
        self.mixed = conv(width + width // 2, width, 3, spectral=True)
        self.head = conv(width, 1 + num_classes, 1)

    def forward(self, image: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Return logits [B,1+num_classes,H/2,W/2] of an image [B,3,H,W] and its features."""
        inward = [layer(its) for layer, its in zip(self.inward, features, strict=True)]
        x = torch.zeros_like(inward[-1])
        for layer, seen in zip(reversed(self.layers), reversed(inward), strict=True):
            x = activate(layer(seen + F.interpolate(x, seen.shape[2:], mode="nearest")))
        return self.head(activate(self.mixed(torch.cat([x, activate(self.pixels(image))], 1))))


class EmbeddingCritic(nn.Module):
    """Score image patches at strides 4, 8 and 16 for realism and for fitting the layout (CC-FPSE).

    A feature pyramid of the image alone; the layout enters as an embedding whose product with the
    features is added to the score. `width` is that of the first layer, 64 as
    published, `depth` counts halvings, 5 as published; both heads are shared by the scales.
    """

    def __init__(self, num_classes: int, *, width: int, depth: int) -> None:
        super().__init__()
        outs = [width * min(8, 2**level) for level in range(depth)]
        inner, last = 4 * width, 2 * width

        def normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
            layer = conv(inputs, outputs, kernel, spectral=True, bias=False, stride=stride)
            return nn.Sequential(layer, nn.InstanceNorm2d(outputs))

        self.down = nn.ModuleList(
            normed(i, o, 3, 2) for i, o in zip([3, *outs[:-1]], outs, strict=True)
        )
        self.across = nn.ModuleList(normed(its, inner, 1) for its in outs[1:])
        self.final = nn.ModuleList(normed(inner, last, 3) for _ in outs[1:-1])
        self.realism, self.meaning = conv(last, 1, 1), conv(last, last, 1)
        self.embedding = conv(num_classes, last, 1)

    def forward(self, image: Tensor, layout: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return score maps by scale, and features, each as a scale of its own.

        image [B,3,H,W]; layout [B,C,H,W], one-hot or soft.
        """
        seen, x = [], image
        for layer in self.down:
            x = activate(layer(x))
            seen.append(x)
        across = [activate(layer(its)) for layer, its in zip(self.across, seen[1:], strict=True)]
        embedded, scores = self.embedding(layout), []
        x = across.pop()
        for layer in reversed(self.final):
            its = across.pop()
            x = its + F.interpolate(x, its.shape[2:], mode="bilinear", align_corners=False)
            features = activate(layer(x))
            asked = F.adaptive_avg_pool2d(embedded, (features.shape[2], features.shape[3]))
            fit = (self.meaning(features) * asked).sum(1, keepdim=True)
            scores.append(self.realism(features) + fit)
        return scores, [[its] for its in seen[1:]]


class TwoStreamCritic(nn.Module):
    """Patch critics of image and layout apart, joined before the last layer (SESAME).

    What the layout's stream says, summed over channels, scales the image's features. Features are
    those of the image's stream.
    """

    def __init__(self, num_classes: int, *, width: int, num_layers: int, num_scales: int) -> None:
        super().__init__()
        scales = range(num_scales)
        self.images = nn.ModuleList(PatchCritic(3, width, num_layers) for _ in scales)
        self.layouts = nn.ModuleList(
            PatchCritic(num_classes, width, num_layers).layers for _ in scales
        )

    def forward(self, image: Tensor, layout: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return per scale the score map and the list of features.

        image [B,3,H,W]; layout [B,C,H,W], one-hot or soft, with what else is known of a pixel.
        """
        scores, features = [], []
        for number, (critic, layers) in enumerate(zip(self.images, self.layouts, strict=True)):
            if number:
                image, layout = (
                    F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
                    for x in (image, layout)
                )
            seen, asked = _through(critic.layers, image), _through(layers, layout)  # pyright: ignore[reportArgumentType]  # modules of a list
            joined = seen[-1] * (1 + asked[-1].sum(1, keepdim=True))
            scores.append(critic.head(joined))  # pyright: ignore[reportCallIssue]  # a layer
            features.append(seen)
        return scores, features


def _through(layers: nn.ModuleList, x: Tensor) -> list[Tensor]:
    found = []
    for layer in layers:
        x = activate(layer(x))
        found.append(x)
    return found


class _Down(nn.Module):
    """Residual block, then a halving; the first of the network does not activate its input."""

    def __init__(self, in_channels: int, out_channels: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.conv0 = conv(in_channels, out_channels, 3, spectral=True)
        self.conv1 = conv(out_channels, out_channels, 3, spectral=True)
        self.skip = _skip(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(activate(self.conv0(x if self.first else activate(x))))
        # A 1x1 convolution commutes with the average, so the skip is convolved at the cheap size.
        return F.avg_pool2d(y, 2) + self.skip(F.avg_pool2d(x, 2))


class _Up(nn.Module):
    """Residual block that doubles its input before its first convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = conv(in_channels, out_channels, 3, spectral=True)
        self.conv1 = conv(out_channels, out_channels, 3, spectral=True)
        self.skip = _skip(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(activate(self.conv0(_double(activate(x)))))
        return y + _double(self.skip(x))


def _skip(in_channels: int, out_channels: int) -> nn.Module:
    if in_channels == out_channels:
        return nn.Identity()
    return conv(in_channels, out_channels, 1, spectral=True)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halvings(size: tuple[int, int], most: int) -> int:
    """Return how often both sides of (H,W) halve to whole numbers, at most `most` times."""
    count = 0
    while count < most and all(side % 2 ** (count + 1) == 0 for side in size):
        count += 1
    return count
