"""BicycleGAN (Zhu et al., NeurIPS 2017): codes and images determine each other, both ways.

A U-Net paints a layout with a code. One cycle encodes a real image and paints it again from its
code (cVAE-GAN, section 3.2); the other draws a code, paints with it and encodes what was painted,
which must give the code back (cLR-GAN, section 3.3): a code that were ignored could not. Each
cycle has a critic of its own. Codes are drawn from the normal law, or are those of the training
image asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from data.pairs.batches import Batch
from synth.nets.critics import PatchCritic
from synth.nets.layers import activate, conv, linear, set_gain
from synth.painters.common.adversarial import DoubledParams, adam, alternate, average
from synth.painters.common.bank import StyleBank
from synth.painters.common.encoding import asked_code, divergence, fill_codes, request_own, spread
from synth.painters.common.entry import Entry, always
from synth.painters.common.prepared import cast_generator
from synth.painters.common.pyramid import check_size
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    noise,
    randn,
)

DEEPEST = 8  # times the width at most, in the U-Net
# Times the encoder's width, after each of its residual blocks.
ENCODED = (2, 3, 4, 4)


class Config(DoubledParams):
    """Section `painters.bicyclegan` of `params.yaml`."""

    batch_size: int = Field(ge=1)
    latent: int = Field(ge=1)
    encoder_width: int = Field(ge=1)
    kl_weight: float = Field(ge=0)
    pixel_weight: float = Field(ge=0)
    latent_weight: float = Field(ge=0)
    critic_sees_layout: bool
    init_gain: float = Field(gt=0)


class UNet(nn.Module):
    """pix2pix's U-Net; the code is broadcast and joined to what every halving is given."""

    def __init__(self, num_classes: int, latent: int, *, width: int, num_doublings: int) -> None:
        super().__init__()
        outs = [width * min(DEEPEST, 2**level) for level in range(num_doublings)]
        ins = [num_classes, *outs[:-1]]
        self.down = nn.ModuleList(
            conv(i + latent, o, 4, stride=2, padding=1) for i, o in zip(ins, outs, strict=True)
        )
        last = len(outs) - 1
        self.up = nn.ModuleList(
            _doubling(its if level == last else 2 * its, 3 if level == 0 else outs[level - 1])
            for level, its in enumerate(outs)
        )

    def forward(self, layout: Tensor, code: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32, of layout [B,C,H,W] and code [B,Z]."""
        wide, seen, x = code[:, :, None, None], [], layout
        last = len(self.down) - 1
        for level, layer in enumerate(self.down):
            x = activate(x) if level else x
            x = layer(torch.cat([x, wide.to(x).expand(-1, -1, *x.shape[2:])], 1))
            # the finest and the coarsest maps are not normalised, as released
            x = F.instance_norm(x) if 0 < level < last else x
            seen.append(x)
        x = seen.pop()
        for level in range(last, 0, -1):
            x = F.instance_norm(self.up[level](F.relu(x)))
            x = torch.cat([seen.pop(), x], 1)
        return torch.tanh(self.up[0](F.relu(x)).float())


class Encoder(nn.Module):
    """Mean and log-variance of the code of an image: residual blocks that halve, and a mean."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.first = conv(3, width, 4, stride=2, padding=1)
        ins = [1, *ENCODED[:-1]]
        pairs = [(width * i, width * o) for i, o in zip(ins, ENCODED, strict=True)]
        self.inner = nn.ModuleList(conv(i, i, 3) for i, _ in pairs)
        self.outer = nn.ModuleList(conv(i, o, 3) for i, o in pairs)
        self.skips = nn.ModuleList(conv(i, o, 1) for i, o in pairs)
        self.mean, self.log_variance = (linear(pairs[-1][1], latent) for _ in range(2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance [B,Z], float32, of images [B,3,H,W]."""
        x = self.first(image)
        for inner, outer, skip in zip(self.inner, self.outer, self.skips, strict=True):
            y = inner(activate(_normed(x)))
            y = F.avg_pool2d(outer(activate(_normed(y))), 2, ceil_mode=True)
            x = y + skip(F.avg_pool2d(x, 2, ceil_mode=True))
        flat = activate(x).mean((2, 3))
        return self.mean(flat).float(), self.log_variance(flat).float()


class Critic(nn.Module):
    """A patch critic at full size and one of half the width at half the size."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchCritic(in_channels, its, 4, spectral=False) for its in (width, max(1, width // 2))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return score maps [B,1,h,w] of an image [B,3,H,W], and what else is known of it."""
        fine, coarse = self.scales
        half = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return [fine(x)[0], coarse(half)[0]]


def _doubling(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
    layer.weight = nn.Parameter(conv(outputs, inputs, 4).weight.detach())  # Xavier's
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]  # there is one
    return layer


def _normed(x: Tensor) -> Tensor:
    return F.instance_norm(x) if x.shape[2] * x.shape[3] > 1 else x


def _least_squares(scores: Sequence[Tensor], target: float) -> Tensor:
    return torch.stack([(score.float() - target).square().mean() for score in scores]).sum()


@dataclass(frozen=True)
class BicycleGan:
    """The method: generator G, encoder E, critics D of encoded and D_drawn of drawn codes."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]

    generators, critics = ("G", "E"), ("D", "D_drawn")
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_own

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []
        judged: dict[str, Tensor] = {}
        G, E, config = self.nets["G"], self.nets["E"], self.config

        def generator() -> dict[str, Tensor]:
            mean, log_variance = E(batch.image)
            again = G(layout, spread(mean, log_variance, progress.rng))
            drawn = noise(progress.rng, len(layout), config.latent).to(layout)
            other = G(layout, drawn)
            made.append(again)
            judged.update(D=again.detach(), D_drawn=other.detach())
            # the encoder only reads here: else both could agree on a code that is not seen
            frozen = {name: its.detach() for name, its in E.named_parameters()}
            found, _ = functional_call(E, frozen, (other,))
            return {
                "encoded": _least_squares(self._score("D", again, layout), 1.0),
                "drawn": _least_squares(self._score("D_drawn", other, layout), 1.0),
                "pixels": config.pixel_weight * (again - batch.image).abs().mean(),
                "kl": config.kl_weight * divergence(mean, log_variance),
                "latent": config.latent_weight * (found - drawn).abs().mean(),
            }

        def critic() -> dict[str, Tensor]:
            return {
                name: _least_squares(self._score(name, batch.image, layout), 1.0)
                + _least_squares(self._score(name, fake, layout), 0.0)
                for name, fake in judged.items()
            }

        return Losses(generator, critic, made)

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W] with the codes asked for, or with codes that are drawn."""
        layout = request.planes(self.given.num_classes)
        if request.style is None:
            code = randn(rngs, (self.config.latent,)).to(layout)
        else:
            code = asked_code(nets, request, rngs)
        return nets["G"](layout, code)

    def _score(self, name: str, image: Tensor, layout: Tensor) -> list[Tensor]:
        shown = torch.cat([layout, image], 1) if self.config.critic_sees_layout else image
        return self.nets[name](shown)


def build(config: Config, given: Given) -> BicycleGan:
    """Build BicycleGAN.

    The U-Net halves `num_doublings` times, at most until 1x2 pixels are left. Raises `UserError`
    for a size that cannot be painted. As published, at 128x256 with 35 classes: G 42,177,923
    parameters (7 halvings), E 2,590,032.
    """
    check_size(given.size, config.num_doublings)
    seen = 3 + given.num_classes * config.critic_sees_layout
    nets = nn.ModuleDict(
        {
            "G": UNet(
                given.num_classes,
                config.latent,
                width=config.width,
                num_doublings=config.num_doublings,
            ),
            "E": Encoder(config.encoder_width, config.latent),
            "D": Critic(seen, config.critic_width),
            "D_drawn": Critic(seen, config.critic_width),
        }
    )
    set_gain(nets, config.init_gain)
    nets["bank"] = StyleBank(1, config.latent)
    spans = (Span(config.num_images, config.batch_size),)
    return BicycleGan(config, given, nets, spans)


ENTRY = Entry(Config, build, cast_generator, end=fill_codes, joins=True, takes_style=always)
