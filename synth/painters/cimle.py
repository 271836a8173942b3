"""Conditional IMLE (Li, Zhang and Malik, ICCV 2019): many images a layout, without a critic.

In rounds, each pair is given the best of several codes, that whose image is nearest to its own, and
the generator is drawn towards the real image from there; so every real image is near to one that
can be drawn, and no look is dropped. The codes are normal numbers for each pixel, encoded beside
the layout and shown to every module of the generator: CRN's, or a pyramid with SPADE's norms.
Rarity rebalances what is shown (`sampling: rare_looks`) and the loss (`rebalance_loss`).

Left out: the start from a trained CRN, whose first layers grow wider; a fresh encoder and a tenth
of the learning rate after six rounds; rounds of 400 pairs that others wait for (a round's pairs
are those which the stream shows in it); the weights of VGG-19's layers, which are those of the
perceptual loss that all painters have. Rarities are in terms of the median of their class.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, Stream, onehot
from data.pairs.sampling import mean_colours, rarities
from data.stage.progress import progress as progress_bar
from synth.nets.layers import activate, conv, set_gain
from synth.nets.losses import weighted
from synth.painters.common import pyramid
from synth.painters.common.adversarial import adam, alternate, average, request_real
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import cast
from synth.painters.common.pyramid import Pyramid, check_size
from synth.painters.common.refinement import Cascade, RefinedParams, Sight, sight_of, widths
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    generator,
    randn,
)

AT_ONCE = 8  # pairs whose codes are chosen together
LAST_INIT = 0.15  # deviation of the encoder's last layer, as released
KEYS = 2**31 - 1  # that the codes of a round are drawn from


class Config(RefinedParams):
    """Section `painters.cimle` of `params.yaml`."""

    generator: Literal["cascaded", "pyramid"]
    max_channels: int = Field(ge=1)  # of a pyramid, as `hidden`
    hidden: int = Field(ge=1)
    noise_channels: int = Field(ge=1)
    encoder_width: int = Field(ge=1)
    num_codes: int = Field(ge=1)
    round_images: int = Field(ge=1)
    rebalance_loss: bool


class NoiseEncoder(nn.Module):
    """Noise of every pixel as it is shown to the generator, by what lies around it."""

    def __init__(self, num_classes: int, noise_channels: int, width: int) -> None:
        super().__init__()
        inputs = num_classes + noise_channels
        self.convs = nn.ModuleList([conv(inputs, width, 3), conv(width, width, 3)])
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))
        self.last = conv(width, noise_channels, 1)

    def forward(self, layout: Tensor, noise: Tensor) -> Tensor:
        """Encode noise [B,N,H,W] beside a layout [B,C,H,W]."""
        x = torch.cat([layout, noise], 1)
        for layer, norm in zip(self.convs, self.norms, strict=True):
            x = activate(norm(layer(x)))
        return self.last(x)


class NoisyPyramid(nn.Module):
    """A pyramid with SPADE's norms that is shown the noise as if it were classes."""

    def __init__(self, num_shown: int, config: Config) -> None:
        super().__init__()
        widest = config.max_channels
        stages = pyramid.spade_stages(config.num_doublings, width=config.width, max_channels=widest)
        block = pyramid.spade_block(num_shown, config.hidden)
        self.pyramid = Pyramid(pyramid.layout_seed(num_shown, stages), stages, block)

    def forward(self, layout: Tensor, noise: Tensor) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1] of a layout [B,C,H,W] and noise [B,N,H,W]."""
        return self.pyramid(torch.cat([layout, noise], 1))


def _cascaded(num_shown: int, config: Config, height: int) -> nn.Module:
    return Cascade(num_shown, widths(config.num_doublings, config.width, height))


# Made for a number of channels that are shown and a height; called with a layout and its noise.
BACKBONES: Mapping[str, Callable[[int, Config, int], nn.Module]] = {
    "cascaded": _cascaded,
    "pyramid": lambda num_shown, config, height: NoisyPyramid(num_shown, config),
}


class Generator(nn.Module):
    """The encoder of noise, and the generator that it feeds."""

    def __init__(self, num_classes: int, config: Config, height: int) -> None:
        super().__init__()
        self.encoder = NoiseEncoder(num_classes, config.noise_channels, config.encoder_width)
        shown = num_classes + config.noise_channels
        self.backbone = BACKBONES[config.generator](shown, config, height)
        set_gain(self, config.init_gain)
        with torch.no_grad():
            self.encoder.last.weight.normal_(0, LAST_INIT).clamp_(-2 * LAST_INIT, 2 * LAST_INIT)

    def forward(self, layout: Tensor, noise: Tensor) -> Tensor:
        """Return an image [B,3,H,W], float32, of a layout [B,C,H,W] and noise [B,N,H,W]."""
        return self.backbone(layout, self.encoder(layout, noise))


class Rounds(nn.Module):
    """The round that training is in: its number, the key of its codes, and which one each pair has.

    `best` int64 `[N]` by row of the set; of codes, drawn anew from (key, row, number of the code),
    nothing is kept. `stream` and `rarity` float32 `[N, C]` are those of all pairs, None where there
    is no training of its own, and in no checkpoint.
    """

    number: Tensor
    key: Tensor
    best: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("number", torch.tensor(-1))
        self.register_buffer("key", torch.tensor(0))
        self.register_buffer("best", torch.zeros(0, dtype=torch.long))
        self.stream: Stream | None = None
        self.rarity: Tensor | None = None

    def weights(self, batch: Batch, layout: Tensor) -> Tensor | None:
        """Return the weights of pixels [B,1,H,W], at most 1 (cIMLE, section 3.3); None for none."""
        if self.rarity is None or self.stream is None:
            return None
        table = self.rarity[batch.row.cpu()]
        other = self.stream.mirrored[: table.shape[1]]
        table = torch.where(batch.mirrored.cpu()[:, None], table[:, other], table)
        found = torch.einsum("bchw,bc->bhw", layout, table.to(layout))[:, None]
        return found / found.amax((1, 2, 3), keepdim=True)


@dataclass(frozen=True)
class Cimle:
    """The method: generator G, what it is judged with, and the round."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: Sight | None

    generators, critics = ("G",), ()
    optimizers, kept = computed(adam), computed(average)
    phases, request = alternate, request_real

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            codes = self._codes(batch, layout, progress)
            made.append(self.nets["G"](layout, codes))
            with torch.no_grad():
                wanted = sight_of(self, layout).look(batch.image)
            weights = rounds_of(self).weights(batch, layout.detach())
            features, pixels = self._apart(made[0], batch.image, wanted, weights)
            return {"perceptual": features.mean(), "pixels": pixels.mean()}

        return Losses(generator, dict, made)

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W], each with noise of its own."""
        layout = request.planes(self.given.num_classes)
        codes = randn(rngs, self._shape(layout)).to(layout)
        return nets["G"](layout, codes).clamp(-1, 1)

    @torch.no_grad()
    def _codes(self, batch: Batch, layout: Tensor, progress: Progress) -> Tensor:
        """Return the codes [B,N,H,W] of the pairs of a batch: in a round, those chosen for it."""
        rounds = rounds_of(self)
        if rounds.stream is None:  # in a joint, whose layouts are made anew in every step
            rngs, shape = [progress.rng] * len(layout), self._shape(layout)
            drawn = [randn(rngs, shape).to(layout) for _ in range(self.config.num_codes)]
            best = self._nearest(batch, layout, drawn.__getitem__)
            return torch.stack(drawn, 1)[torch.arange(len(best), device=best.device), best]
        number = progress.images // self.config.round_images
        if number != int(rounds.number):
            self._begin_round(rounds, number, progress, layout.device)
        codes = self._drawn(rounds, batch.row, layout, rounds.best[batch.row])
        return torch.where(batch.mirrored[:, None, None, None], codes.flip(-1), codes)

    def _begin_round(
        self, rounds: Rounds, number: int, progress: Progress, device: torch.device
    ) -> None:
        """Choose a code for each pair that the round will show; all processes do so alike."""
        stream, config, rng = rounds.stream, self.config, progress.rng
        assert stream is not None, "a round has a stream"
        rounds.number.fill_(number)
        rounds.key.copy_(torch.randint(KEYS, (1,), generator=rng, device=rng.device)[0])
        last = min((number + 1) * config.round_images, progress.total_images) + config.batch_size
        places = stream.places(progress.images, last - progress.images).unique()
        bar = progress_bar(len(places), f"choosing codes, round {number + 1}", "pairs")
        with bar if getattr(rng, "rank", 0) == 0 else nullcontext(lambda num: None) as advance:
            for part in places.split(AT_ONCE):
                images = stream.images[part].to(device).float() / 127.5 - 1
                label, row = stream.labels[part].to(device).long(), stream.rows[part].to(device)
                batch = Batch(images, label, row, torch.zeros_like(row, dtype=torch.bool))
                layout = onehot(label, self.given.num_classes)
                draw = partial(self._drawn, rounds, row, layout)
                rounds.best[row] = self._nearest(batch, layout, draw)
                advance(len(part))

    def _nearest(self, batch: Batch, layout: Tensor, draw: Callable[[int], Tensor]) -> Tensor:
        """Return which of the codes [B,N,H,W] that `draw(number)` gives is best, int64 [B]."""
        wanted = sight_of(self, layout).look(batch.image)
        weights, found = rounds_of(self).weights(batch, layout), []
        for number in range(self.config.num_codes):
            fake = self.nets["G"](layout, draw(number))
            found.append(torch.stack(self._apart(fake, batch.image, wanted, weights)).sum(0))
        return torch.stack(found).argmin(0)

    def _apart(
        self, fake: Tensor, real: Tensor, wanted: list[Tensor], weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted distances of images from real ones, in features and pixels, [B]."""
        sight = sight_of(self, fake)
        features = sight.distances(sight.look(fake), wanted, weights)
        pixels = weighted((fake - real).abs(), weights).mean((1, 2, 3))
        return self.config.perceptual_weight * features, self.config.pixel_weight * pixels

    def _shape(self, layout: Tensor) -> tuple[int, ...]:
        return (self.config.noise_channels, *layout.shape[2:])

    def _drawn(self, rounds: Rounds, row: Tensor, like: Tensor, number: int | Tensor) -> Tensor:
        """Draw codes [B,N,H,W] of a round by numbers, one or [B], of the pairs of rows [B]."""
        key, numbers, found = int(rounds.key), torch.as_tensor(number).expand_as(row), []
        for names in zip(row.tolist(), numbers.tolist(), strict=True):
            rng = generator(key, *names, device=like.device)
            found.append(torch.randn(self._shape(like), generator=rng, device=like.device))
        return torch.stack(found).to(like)


def rounds_of(method: Cimle) -> Rounds:
    """Return the round among the networks."""
    rounds = method.nets["rounds"]
    assert isinstance(rounds, Rounds)
    return rounds


def build(config: Config, given: Given) -> Cimle:
    """Build conditional IMLE; `begin` shows it the pairs that codes are chosen for.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As published, CRN's generator with ten channels of noise for every module, at 128x256 with
    35 classes: G 94,460,945 parameters, 132,110 of the encoder.
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    net = Generator(given.num_classes, config, given.size[0])
    nets = nn.ModuleDict({"G": net, "rounds": Rounds()})
    spans = (Span(config.num_images, config.batch_size),)
    return Cimle(config, given, nets, spans, perceptual)


def begin(method: Cimle, stream: Stream) -> None:
    """Make room for a code of each pair, and measure how rare the colours of its regions are."""
    rounds, count = rounds_of(method), int(stream.rows.max()) + 1
    rounds.stream, rounds.best = stream, torch.zeros(count, dtype=torch.long)
    if not method.config.rebalance_loss:
        return
    pixels = zip(stream.images.permute(0, 2, 3, 1).numpy(), stream.labels.numpy(), strict=True)
    found = rarities(mean_colours(pixels, method.given.num_classes))
    # a class whose rarity is not known is as rare as the others of its image (released: a bug)
    found[~np.isfinite(found).any(1)] = 1.0
    found = np.where(np.isfinite(found), found, np.nanmedian(found, 1, keepdims=True))
    rounds.rarity = torch.ones(count, found.shape[1])
    rounds.rarity[stream.rows] = torch.from_numpy(found).float()


ENTRY = Entry(Config, build, cast, begin=begin, joins=True)
