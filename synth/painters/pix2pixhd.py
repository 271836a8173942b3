"""pix2pixHD (Wang et al., CVPR 2018): coarse to fine, least-squares patch critics.

The layout enters once, at the first layer. Options of the paper: its edges (section 3.3; instances
are not known here, so they are the borders of connected components), an enhancer that refines what
the global generator does at half the size (section 3.2), and an encoder whose features, averaged
over a region, say how it looks (section 3.4; regions are the classes of an image). Looks are then
asked for by training image, or drawn from the k-means centres of each class. Instance norm wipes
out what is constant over an image (the observation that SPADE started from): of a layout with a
single class nothing is left after the first norm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from data.pairs.batches import Batch, Stream, onehot
from synth.nets.layers import edges
from synth.painters.common.adversarial import (
    PatchParams,
    adam,
    average,
    in_turn,
    judge,
    match,
)
from synth.painters.common.bank import StyleBank, bank_of, region_means, style_map
from synth.painters.common.entry import Entry
from synth.painters.common.prepared import cast
from synth.painters.common.pyramid import check_size
from synth.painters.common.translating import (
    ResidualBlock,
    Translator,
    doubling,
    halving,
    initialise,
    normed,
    reflecting,
)
from synth.training.method import (
    Given,
    Losses,
    PaintRequest,
    Phase,
    Progress,
    Span,
    computed,
    rand,
)


class Config(PatchParams):
    """Section `painters.pix2pixhd` of `params.yaml`."""

    batch_size: int = Field(ge=1)
    num_blocks: int = Field(ge=0)
    init_std: float = Field(gt=0)
    edges: bool
    features: int | None = Field(ge=1)  # numbers of a region's look, None for no encoder
    encoder_width: int = Field(ge=1)
    num_centres: int = Field(ge=1)
    enhancer_blocks: int | None = Field(ge=0)  # None for no enhancer
    global_images: int = Field(ge=0)  # shown to the global generator alone, at half the size
    enhancer_images: int = Field(ge=0)  # shown then while the enhancer learns alone


class Enhancer(nn.Module):
    """Refine what a global generator makes of half the size: add its last features to its own.

    `width` is that of the global generator; it has half the channels at full size.
    """

    def __init__(self, in_channels: int, *, width: int, num_blocks: int) -> None:
        super().__init__()
        narrow = width // 2
        self.inward = nn.Sequential(
            normed(reflecting(in_channels, narrow, 7)), halving(narrow, width)
        )
        blocks = (ResidualBlock(width) for _ in range(num_blocks))
        self.outward = nn.Sequential(*blocks, doubling(width, narrow))
        self.rgb = reflecting(narrow, 3, 7)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Return an image [B,3,H,W] of a map [B,K,H,W] and features [B,width,H/2,W/2]."""
        return torch.tanh(self.rgb(self.outward(self.inward(x) + features)).float())


def halved(x: Tensor) -> Tensor:
    """Halve the sides of maps [B,K,H,W], as released: a mean over 3x3 pixels."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


def least_squares(scores: list[Tensor], target: float) -> Tensor:
    """Draw scores [B,1,h,w] to `target` (LSGAN); mean of patches, sum over scales, as released."""
    return torch.stack([(score.float() - target).square().mean() for score in scores]).sum()


@dataclass(frozen=True)
class Pix2PixHD:
    """The method: global generator G, enhancer L, encoder E of features, patch critic D."""

    config: Config
    given: Given
    nets: nn.ModuleDict
    spans: tuple[Span, ...]
    perceptual: nn.Module | None

    critics = ("D",)
    optimizers = computed(adam)

    @property
    def generators(self) -> tuple[str, ...]:
        """The global generator, and what else paints or encodes."""
        return tuple(name for name in ("G", "L", "E") if name in self.nets)

    @property
    def kept(self) -> dict[str, float]:
        """Keep averages of the generators, and both banks of looks."""
        return average(self) | ({"centres": 0.0} if "centres" in self.nets else {})

    def phases(self, batch: Batch, progress: Progress) -> Iterator[Phase]:
        """Yield the generators' phase and the critic's, coarse to fine where there is an enhancer.

        First the global generator learns alone, at half the size, then the enhancer, then both.
        """
        layout, trained = onehot(batch.label, self.given.num_classes), self.generators
        image, paint = batch.image, self._paint
        if "L" in self.nets:
            alone = self.config.global_images
            if progress.images < alone:
                trained, paint = tuple(name for name in trained if name != "L"), self._paint_coarse
                image = halved(image)
            elif progress.images < alone + self.config.enhancer_images:
                trained = ("L",)
        losses = self._losses(batch, image, layout, paint)
        yield Phase("generator", losses.generator, trained)
        yield Phase("critic", losses.critic, self.critics)

    def request(self, batch: Batch, rng: torch.Generator) -> PaintRequest:
        """Return the layouts of real pairs, and the looks of their images where there are some."""
        layout = onehot(batch.label, self.given.num_classes)
        return PaintRequest(batch.label, self._own(batch, layout))

    def losses(self, batch: Batch, layout: Tensor, progress: Progress) -> Losses:
        """Return the losses of one step on layouts [B,C,H,W] of the batch, one-hot or soft."""
        return self._losses(batch, batch.image, layout, self._paint)

    def _losses(self, batch: Batch, image: Tensor, layout: Tensor, paint: Any) -> Losses:
        beside = layout if image.shape[-1] == layout.shape[-1] else halved(layout)
        return in_turn(
            lambda: paint(self.nets, layout, self._own(batch, layout)),
            lambda fake: self.generator_loss(image, fake, beside),
            lambda fake: self.critic_loss(image, fake, beside),
            reuse=True,
        )

    def generator_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Draw scores of images [B,3,H,W] to 1, match features of critic and pretrained net."""
        D, shown = self.nets["D"], {"real": real, "fake": fake, "layout": self._beside(layout)}
        scores, matching = match(self.config, D, self.perceptual, **shown)
        return {"least_squares": least_squares(scores, 1.0)} | matching

    def critic_loss(self, real: Tensor, fake: Tensor, layout: Tensor) -> dict[str, Tensor]:
        """Draw scores of real to 1, of fake [B,3,H,W] to 0, halved as released."""
        shown = {"real": real, "fake": fake, "layout": self._beside(layout)}
        of_real, of_fake = judge(self.nets["D"], **shown)
        return {"real": least_squares(of_real, 1.0) / 2, "fake": least_squares(of_fake, 0.0) / 2}

    def sample(
        self, nets: nn.ModuleDict, request: PaintRequest, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Paint images [B,3,H,W], with an encoder in the looks asked for, else without any."""
        layout, looks = request.planes(self.given.num_classes), None
        if "bank" in nets:
            bank = bank_of(nets, "bank" if request.style is not None else "centres")
            numbers = rand(rngs, (1 + self.given.num_classes,)).to(layout.device)
            if request.style is None:  # each region takes a centre of its own
                rows = (numbers[:, 1:] * max(1, len(bank))).long()
                looks = bank.looks(rows, numbers[:, 1:])
            else:
                looks = bank.asked(request.style, numbers)
        return self._paint(nets, layout, looks)

    def _paint(self, nets: nn.ModuleDict, layout: Tensor, looks: Tensor | None) -> Tensor:
        x = self._map(layout, looks)
        if "L" not in nets:
            return nets["G"](x)
        return nets["L"](x, nets["G"](halved(x), inner=True))

    def _paint_coarse(self, nets: nn.ModuleDict, layout: Tensor, looks: Tensor | None) -> Tensor:
        return nets["G"](halved(self._map(layout, looks)))

    def _map(self, layout: Tensor, looks: Tensor | None) -> Tensor:
        described = [] if looks is None else [style_map(layout, looks)]
        return torch.cat([self._beside(layout), *described], 1)

    def _beside(self, layout: Tensor) -> Tensor:
        return torch.cat([layout, edges(layout)], 1) if self.config.edges else layout

    def _own(self, batch: Batch, layout: Tensor) -> Tensor | None:
        """Return the looks [B,C,S] of the regions of images, None without an encoder."""
        return region_means(layout, self.nets["E"](batch.image)) if "E" in self.nets else None


def build(config: Config, given: Given) -> Pix2PixHD:
    """Build pix2pixHD.

    Raises `UserError` for a size that cannot be painted and for missing weights of the perceptual
    loss. As released, with 35 classes and the edges: G 182,546,755 parameters, with the enhancer
    182,857,059 in both; the encoder 788,803.
    """
    depth, classes = config.num_doublings, given.num_classes
    enhances = config.enhancer_blocks is not None
    check_size(given.size, depth + enhances, smallest=2)
    perceptual = config.perceptual()
    beside = classes + config.edges
    channels = beside + (config.features or 0)
    grids = {"num_doublings": depth, "num_blocks": config.num_blocks}
    G = Translator(channels, 3, width=config.width, **grids)
    nets = nn.ModuleDict({"G": G, "D": config.critic(beside, spectral=False)})
    if config.enhancer_blocks is not None:
        blocks = config.enhancer_blocks
        nets["L"] = Enhancer(channels, width=config.width, num_blocks=blocks)
    if config.features is not None:
        shape = {"width": config.encoder_width, "num_doublings": depth, "num_blocks": 0}
        nets["E"] = Translator(3, config.features, **shape)
    initialise(nets, config.init_std)
    if config.features is not None:
        nets.update({name: StyleBank(classes, config.features) for name in ("bank", "centres")})
    spans = (Span(config.num_images, config.batch_size),)
    return Pix2PixHD(config, given, nets, spans, perceptual)


def end(method: Pix2PixHD, nets: nn.ModuleDict, stream: Stream) -> None:
    """Fill the bank with the features of all regions, and find the centres of those of a class."""
    if "bank" not in nets:
        return
    bank, classes = bank_of(nets), method.given.num_classes
    bank.fill_regions(stream, nets["E"])
    count = method.config.num_centres
    centres = torch.zeros(count, classes, bank.size)
    shown = torch.zeros(count, classes, dtype=torch.bool)
    for class_id in range(classes):
        found = bank.styles[bank.shown[:, class_id], class_id].cpu()
        if len(found):
            means = cluster(found, count)
            centres[: len(means), class_id], shown[: len(means), class_id] = means, True
    rows = torch.arange(count)
    bank_of(nets, "centres").put(rows, centres, shown)


def cluster(points: Tensor, most: int) -> Tensor:
    """Return the centres `[K, S]` of k-means on points `[n, S]`, at most `most` and n of them."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    different = torch.unique(points, dim=0)
    with threadpool_limits(1):  # the same bits whatever the machine has
        law = KMeans(min(most, len(different)), n_init=4, random_state=0)  # pyright: ignore[reportArgumentType]  # its stub knows words alone
        found = law.fit(points.double().numpy())
    return torch.from_numpy(found.cluster_centers_).float()


def prepare(method: Pix2PixHD, nets: nn.ModuleDict, dtype: torch.dtype) -> nn.ModuleDict:
    """Return what paints, computing in `dtype`, and the banks as they are."""
    painting = {name: nets[name] for name in ("G", "L") if name in nets}
    prepared = cast(method, nn.ModuleDict(painting), dtype)
    prepared.update({name: nets[name] for name in ("bank", "centres") if name in nets})
    return prepared


def has_features(config: Any) -> bool:
    """Say whether a painter of this `Config` takes a style."""
    return config.features is not None


ENTRY = Entry(Config, build, prepare, end=end, joins=True, takes_style=has_features)
