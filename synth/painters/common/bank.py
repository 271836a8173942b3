"""A bank of looks: what real images look like, by region, for painters that are asked for one.

What a look is, is the painter's: a measured style (`synth.painters.common.styles`), the code of an
image encoder, or the mean of an encoder's features over a region. Where one look is a whole
image's, there is one region.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.pairs.batches import Stream, onehot

BATCH = 16

# Images float32 `[B, 3, H, W]` in [-1, 1] and labels int64 `[B, H, W]` -> looks `[B, C, S]`, and
# which of them are there, bool `[B, C]`.
Encode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class StyleBank(nn.Module):
    """The styles of training pairs, `[N, C, S]` by row of their set, and which classes they show.

    A look is asked for by row; classes that its image lacks take the style of another one. An empty
    bank gives zeros. What is loaded into it decides how many rows it has.
    """

    styles: Tensor
    shown: Tensor
    shares: Tensor
    mirrored: Tensor

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("styles", torch.zeros(0, num_classes, size))
        self.register_buffer("shown", torch.zeros(0, num_classes, dtype=torch.bool))
        # of the pixels, by class, and the class that each becomes in a mirrored image
        self.register_buffer("shares", torch.full((num_classes,), 1 / num_classes))
        self.register_buffer("mirrored", torch.arange(num_classes))

    @property
    def size(self) -> int:
        """Return the length S of a style."""
        return self.styles.shape[2]

    @property
    def by_class(self) -> bool:
        """Whether classes have looks of their own, or the whole image one."""
        return self.styles.shape[1] > 1

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.styles)

    def put(self, rows: Tensor, styles: Tensor, shown: Tensor) -> None:
        """Hold the styles `[n, C, S]` of rows `[n]` and no others; `shown` is bool `[n, C]`."""
        self._resize(int(rows.max()) + 1)
        self.styles[rows] = (styles * shown[..., None]).to(self.styles)
        self.shown[rows] = shown.to(self.shown.device)

    @torch.no_grad()
    def fill(self, stream: Stream, encode: Encode) -> None:
        """Hold what an encoder says of all pairs of a stream."""
        device, found = self.styles.device, []
        for images, labels in zip(
            stream.images.split(BATCH), stream.labels.split(BATCH), strict=True
        ):
            shown = images.to(device).float() / 127.5 - 1
            found.append(encode(shown, labels.to(device).long()))
        styles, shown = (torch.cat(parts) for parts in zip(*found, strict=True))
        self.put(stream.rows.to(device), styles, shown)

    def fill_regions(self, stream: Stream, encoder: Callable[[Tensor], Tensor]) -> None:
        """Hold the means over regions of an encoder's features of all pairs of a stream.

        `encoder` maps images `[B, 3, H, W]` to features `[B, S, h, w]`.
        """
        classes = self.shown.shape[1]

        def encode(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            planes = onehot(labels, classes)
            return region_means(planes, encoder(images)), planes.sum((2, 3)) > 0

        self.fill(stream, encode)

    def looks(self, rows: Tensor, numbers: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Return the styles `[B, C, S]` of rows `[B]`, or `[B, C]` for one of each class.

        `numbers` uniform in [0, 1), `[B, C]`, choose whose style a class takes that the row lacks.
        `mirrored` bool `[B]`: a class is painted like the one that it was before its image was
        mirrored, a left eye like the right one.
        """
        count, classes, size = self.styles.shape
        if not count:
            return self.styles.new_zeros(len(rows), classes, size)
        rows = rows if rows.dim() == 2 else rows[:, None].expand(-1, classes)
        like = torch.arange(classes, device=rows.device).expand_as(rows)
        if mirrored is not None:
            like = torch.where(mirrored[:, None], self.mirrored, like)
        # of each class the rows that show it, first; the place of a number among them
        order = torch.sort(self.shown.int(), dim=0, descending=True, stable=True).indices
        place = (numbers * self.shown.sum(0)[like]).long()
        rows = torch.where(self.shown[rows, like], rows, order[place, like])
        return self.styles[rows, like]

    def other(self, numbers: Tensor) -> Tensor:
        """Return looks of whole images `[B, C, S]`; `numbers` uniform in [0, 1), `[B, 1 + C]`."""
        return self.looks((numbers[:, 0] * len(self)).long(), numbers[:, 1:])

    def asked(self, style: Tensor | None, numbers: Tensor) -> Tensor:
        """Return the looks `[B, C, S]` of a `PaintRequest`, those of a drawn row where it has none.

        `numbers` uniform in [0, 1), `[B, 1 + C]`.
        """
        if style is None:
            return self.other(numbers)
        return style if style.is_floating_point() else self.looks(style, numbers[:, 1:])

    def _resize(self, count: int) -> None:
        for name in ("styles", "shown"):
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_zeros(count, *buffer.shape[1:]))

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        if (styles := state_dict.get(f"{prefix}styles")) is not None:
            self._resize(len(styles))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def bank_of(nets: nn.ModuleDict, name: str = "bank") -> StyleBank:
    """Return a bank of styles among the networks."""
    bank = nets[name]
    assert isinstance(bank, StyleBank)
    return bank


def style_map(layout: Tensor, looks: Tensor) -> Tensor:
    """Give each pixel of layouts `[B, C, H, W]` the style of its class, `[B, S, H, W]`."""
    return torch.einsum("bchw,bcs->bshw", layout, looks.to(layout))


def region_means(planes: Tensor, maps: Tensor) -> Tensor:
    """Return the means `[B, C, K]` of maps `[B, K, h, w]` over classes `[B, C, H, W]`."""
    part = F.interpolate(planes, maps.shape[2:], mode="area")
    sums = torch.einsum("bchw,bkhw->bck", part, maps)
    return sums / part.sum((2, 3)).clamp(min=1e-6)[..., None]
