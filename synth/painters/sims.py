"""Semi-parametric image synthesis (SIMS, Qi et al., CVPR 2018): real segments, put together anew.

For each region of a layout a memory of the training pairs gives a real segment of its class that is
shaped and surrounded like it. Together they are a canvas, with holes along borders and where
nothing fits; a network with an encoder, and CRN's modules as decoder, makes an image of canvas and
layout.
It learns from canvases of each pair's own pixels, with the holes that segments of other pairs would
leave (stencils), and now and then in the colours of these; its loss is CRN's.

Left out: the network that turns and bends a segment (it is scaled into the box of its region); the
one that orders segments (small ones lie over large ones); the encoder does not begin as VGG-19, and
its widths are ours. Also ours: canvases of other pairs' segments in training (`retrieved`), where
the published ones are of own pixels alone; one of several segments that fit best is drawn (`top`);
segments of about the same size are preferred (`size_weight`). No canvas holds a segment of the pair
it is for: at production that is the one that shares its labels with the layout, to the pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, Stream
from synth.nets.layers import conv, set_gain
from synth.painters.common.adversarial import adam, alternate, request_real
from synth.painters.common.entry import Entry
from synth.painters.common.memory import (
    Canvas,
    Memory,
    MemoryParams,
    content_of,
    recoloured,
    segments,
)
from synth.painters.common.prepared import cast_generator
from synth.painters.common.pyramid import check_size
from synth.painters.common.refinement import RefinedParams, Refinement, Sight, nearness
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Progress,
    Span,
    computed,
    rand,
)

NUMBERS = 3  # uniform numbers that the canvas of a pair begins with
STEPS = 2**24  # that a float32 number in [0, 1) has


class Config(RefinedParams, MemoryParams):
    """Section `painters.sims` of `params.yaml`."""

    transfer: float = Field(ge=0, le=1)
    retrieved: float = Field(ge=0, le=1)


class Generator(nn.Module):
    """The refinement network: an encoder of canvas and layout, and a decoder with skips."""

    def __init__(self, num_classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        ins = [num_classes + 4, *channels[:-1]]
        self.encoder = nn.ModuleList(Refinement(i, o) for i, o in zip(ins, channels, strict=True))
        made = [0, *reversed(channels)][:-1]  # by the module before
        self.decoder = nn.ModuleList(
            Refinement(before + skip + num_classes, skip)
            for before, skip in zip(made, reversed(channels), strict=True)
        )
        self.rgb = conv(channels[0], 3, 1)

    def forward(self, layout: Tensor, canvas: Tensor) -> Tensor:
        """Return an image [B,3,H,W], float32, of a layout [B,C,H,W] and a canvas [B,4,H,W].

        Nothing keeps it in [-1,1].
        """
        x, seen = torch.cat([layout, canvas], 1), []
        for level, module in enumerate(self.encoder):
            x = module(F.avg_pool2d(x, 2) if level else x)
            seen.append(x)
        x = None
        for module, skip in zip(self.decoder, reversed(seen), strict=True):
            grid = skip.shape[2:]
            shown = [skip, F.interpolate(layout, size=grid, mode="area")]
            if x is not None:
                shown.append(F.interpolate(x, size=grid, mode="bilinear", align_corners=False))
            x = module(torch.cat(shown, 1))
        return self.rgb(x).float()


@dataclass(frozen=True)
class Sims:
    """The method: the refinement network G, what it is judged with, and the memory.

    `training` is the memory while it trains; that among the networks is filled in the end, so that
    no checkpoint carries it.
    """

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: Sight | None
    training: Memory

    generators, critics = ("G",), ()
    optimizers = computed(adam)
    phases, request = alternate, request_real

    @property
    def kept(self) -> dict[str, float]:
        """Keep an average of the network, and the memory."""
        return {"G": self.config.ema, "memory": 0.0}

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        made: list[Tensor] = []

        def generator() -> dict[str, Tensor]:
            canvas = self._learnt_from(batch, progress).to(layout)
            made.append(self.nets["G"](layout, canvas))
            return nearness(self, batch.image, made[0])

        return Losses(generator, dict, made)

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W] from canvases of the memory's segments."""
        layout, memory = request.planes(self.given.num_classes), memory_of(nets)
        labels = _labels(layout.argmax(1))
        drawn = [
            self._canvas(label, memory, memory.parents(label), rng)
            for label, rng in zip(labels, _rngs(rngs), strict=True)
        ]
        canvas = torch.stack([one.tensor() for one in drawn]).to(layout)
        return nets["G"](layout, canvas).clamp(-1, 1)

    def _learnt_from(self, batch: Batch, progress: Progress) -> Tensor:
        """Return canvases [B,4,H,W] of the pairs of a batch."""
        images = (content_of(batch.image.float()) + 1) * 127.5
        found = []
        for image, label, row, rng in zip(
            images,
            _labels(batch.label),
            content_of(batch.row).tolist(),
            _rngs([progress.rng] * len(images)),
            strict=True,
        ):
            memory = self.training
            own = None if rng.random() < self.config.retrieved else image
            found.append(self._canvas(label, memory, memory.own(row), rng, own).tensor())
        return torch.stack(found)

    def _canvas(
        self,
        label: np.ndarray,
        memory: Memory,
        without: np.ndarray,
        rng: np.random.Generator,
        own: np.ndarray | None = None,
    ) -> Canvas:
        """Compose a canvas for a label map uint8 [H,W].

        Of segments of no image `without`, bool [N]; or of the pixels of its `own` image [3,H,W], 0
        to 255, where that is given, as far as the segments that were found would reach.
        """
        canvas = Canvas(label.shape)
        for segment in segments(label, self.given.num_classes, self.config.smallest):
            found = memory.find(segment, without, self.config, rng)
            if own is None:
                if found is not None:
                    canvas.put(segment.box, found.pixels, found.mask)
                continue
            pixels, mask = own[:, *segment.box], segment.mask
            if found is not None:
                if rng.random() < self.config.transfer:
                    pixels = recoloured(pixels, mask, found)
                mask = mask & found.mask
            canvas.put(segment.box, pixels, mask)
        canvas.elide(label, self.config.elision)
        return canvas


def memory_of(nets: nn.ModuleDict) -> Memory:
    """Return the memory among the networks."""
    memory = nets["memory"]
    assert isinstance(memory, Memory)
    return memory


def _labels(label: Tensor) -> np.ndarray:
    return content_of(label.to(torch.uint8))


def _rngs(rngs: Sequence[torch.Generator]) -> list[np.random.Generator]:
    """Return a generator for the canvas of each pair, seeded by its own."""
    keys = (rand(rngs, (NUMBERS,)).cpu().double() * STEPS).long().tolist()
    return [np.random.default_rng(np.random.SeedSequence(key)) for key in keys]


def widths(num_doublings: int, width: int) -> tuple[int, ...]:
    """Return the channels of every module, finest first: doubling up to 8 times the width."""
    return tuple(width * min(8, 2**level) for level in range(num_doublings + 1))


def build(config: Config, given: Given) -> Sims:
    """Build SIMS; `begin` and `end` fill its memory.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. With width 64 and five doublings, at 35 classes: G 36,761,283 parameters (published: 56
    million, of all its networks).
    """
    check_size(given.size, config.num_doublings)
    perceptual = config.perceptual()
    net = Generator(given.num_classes, widths(config.num_doublings, config.width))
    set_gain(net, config.init_gain)
    nets = nn.ModuleDict({"G": net, "memory": Memory()})
    spans = (Span(config.num_images, config.batch_size),)
    return Sims(config, given, nets, spans, perceptual, Memory())


def begin(method: Sims, stream: Stream) -> None:
    """Remember the segments of all training pairs, for canvases to learn from."""
    method.training.fill(stream, method.given.num_classes, method.config)


def end(method: Sims, nets: nn.ModuleDict, stream: Stream) -> None:
    """Keep the segments of all training pairs."""
    memory_of(nets).fill(stream, method.given.num_classes, method.config)


def prepare(method: Sims, nets: nn.ModuleDict, dtype: torch.dtype) -> nn.ModuleDict:
    """Return a copy of G that computes in `dtype`, and the memory as it is."""
    ready = cast_generator(method, nets, dtype)
    ready["memory"] = nets["memory"]
    return ready


ENTRY = Entry(Config, build, prepare, begin=begin, end=end)
