"""A real pair while it is edited: its label, the objects put into it, and what must be painted."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor

from data.pairs.batches import onehot
from data.stage.errors import UserError
from studio.shelf import Shelf
from studio.state import Brush, Hole, Put, Remove
from synth.layouts.common.editing import with_hole
from synth.layouts.common.edits import NUM_CANDIDATES, fitting
from synth.layouts.common.masks import surroundings
from synth.layouts.transplant import Transplant
from synth.layouts.transplanting import pasting
from synth.layouts.transplanting.placing import Place
from synth.making.drawing import LAYOUT
from synth.training.method import generator, rand, randn

EIGHT = np.ones((3, 3), bool)
SMALLEST = 0.2  # scale of an object whose size its row decides; the largest is the method's


@dataclass
class Work:
    """What steps change, and what they may look at.

    `made` bool `[H, W]` are pixels that must be painted. `on` is what objects are put on: the image
    with them, the label as it is by now, and how far a pixel is theirs. `row` is the parent's.
    """

    shelf: Shelf
    row: int
    seed: int
    parent: np.ndarray
    first: np.ndarray
    on: pasting.Canvas
    made: np.ndarray
    donors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, shelf: Shelf, pair: str, seed: int) -> "Work":
        """Begin with a real pair."""
        row = shelf.row_of(pair)
        image, label = shelf.real.arrays(row)
        alpha = np.zeros(label.shape, np.float32)
        on = pasting.Canvas(image.copy(), label.copy(), alpha)
        return cls(shelf, row, seed, image, label, on, np.zeros(label.shape, bool))

    @property
    def label(self) -> np.ndarray:
        """Return the label as it is by now, to be changed in place."""
        return self.on.label

    @property
    def edited(self) -> np.ndarray:
        """Return the pixels that are not the parent's, bool `[H, W]`."""
        return self.made | (self.on.alpha > 0)

    def relabel(self, where: np.ndarray, label: np.ndarray) -> None:
        """Give pixels another class, and have them painted; an object that was there is gone."""
        self.on.label[where] = label[where]
        self.on.image[where] = self.parent[where]
        self.on.alpha[where] = 0
        self.made[where] = True

    def tensor(self) -> Tensor:
        """Return the label as int64 `[1, H, W]`."""
        return torch.from_numpy(self.label.astype(np.int64))[None].to(self.shelf.device)

    def noise(self, method: Any, dice: int) -> Tensor:
        """Return the noise of an editor, as production draws it."""
        rng = generator(self.seed, LAYOUT, dice, device=self.shelf.device)
        return randn([rng], (method.noise_length,))

    def class_of(self, name: str) -> int:
        """Return the id of a class."""
        return self.shelf.real.classes.index(name)

    def other_labels(self, dice: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and labels uint8 `[K, H, W]` of other training pairs, by the dice."""
        rng = generator(self.seed, LAYOUT, dice)
        rows = (rand([rng], (NUM_CANDIDATES,))[0] * len(self.shelf.real)).long().numpy()
        rows = np.unique(rows[rows != self.row])
        if not len(rows):
            rows = np.array([(self.row + 1) % len(self.shelf.real)])
        return rows, self.shelf.real.labels(rows)


def hole(work: Work, step: Hole) -> None:
    """Make a box or a band anew: by an editor, or as the training pair that fits best around it.

    An editor is asked for the palette which that pair has there.
    """
    mask = np.zeros(work.label.shape, bool)
    mask[step.top : step.top + step.height, step.left : step.left + step.width] = True
    if not mask.any():
        raise UserError("the box lies outside the image; drag one over it")
    rows, labels = work.other_labels(step.dice)
    others = torch.from_numpy(labels.astype(np.int64))[None]
    where, label = torch.from_numpy(mask)[None], work.tensor().cpu()
    like = fitting(label, where, others)
    editor = work.shelf.editor()
    if editor is None:
        found = next(n for n, one in enumerate(others[0]) if bool((one == like[0]).all()))
        work.relabel(mask, like[0].numpy().astype(np.uint8))
        work.donors.append(work.shelf.real.ids()[int(rows[found])])
        return
    method, nets = editor
    device = work.shelf.device
    drawn = with_hole(
        method,
        nets,
        real=label.to(device),
        hole=where.to(device),
        z=work.noise(method, step.dice),
        like=like.to(device),
    )
    work.relabel(mask, drawn.label[0].cpu().numpy().astype(np.uint8))


def remove(work: Work, step: Remove) -> None:
    """Paint the region of one class that a pixel belongs to over with what surrounds it."""
    _inside(work, step.x, step.y)
    label = work.label
    numbered, _ = ndimage.label(label == label[step.y, step.x], EIGHT)  # pyright: ignore[reportGeneralTypeIssues]  # untyped: a pair
    mask = numbered == numbered[step.y, step.x]
    if mask.all():
        raise UserError("this region is the whole image; nothing surrounds it")
    work.relabel(mask, filled(work, mask))


def brush(work: Work, step: Brush) -> None:
    """Draw a class along a line with round ends."""
    height, width = work.label.shape
    picture = Image.new("1", (width, height))
    pen, reach = ImageDraw.Draw(picture), (step.size - 1) / 2
    if len(step.points) > 1:
        pen.line(step.points, fill=1, width=step.size)
    for x, y in step.points:
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=1)
    mask = np.asarray(picture, bool)
    work.relabel(mask, np.full(work.label.shape, work.class_of(step.name), np.uint8))


def put(work: Work, step: Put) -> None:
    """Put an object of the bank, with its pixels; see `pasting.paste`."""
    bank = _bank(work)
    require_object(bank, step)
    place = place_of(work.label.shape, bank, step)
    config = bank.config
    if not pasting.paste(
        work.on,
        bank.bank,
        place,
        mirrored=step.mirrored,
        brightness=config.brightness,
        smallest=1,
    ):
        raise UserError("too little of the object would be seen there; put it further inside")
    work.donors.append(work.shelf.real.ids()[int(bank.bank.donor[step.object])])


def require_object(found: Transplant, step: Put) -> None:
    """Raise `UserError` for an object that the bank has not, as after a new training."""
    if step.object >= len(found.bank):
        raise UserError(f"there is no object {step.object}; the bank has {len(found.bank)}")


def place_of(size: tuple[int, ...], found: Transplant, step: Put) -> Place:
    """Return where an object goes whose lower edge has its middle at (x, y) of an image."""
    bank, bottom = found.bank, min(step.y, size[0] - 1) + 1
    scale = step.scale
    if scale is None:
        intercept, slope, _ = bank.laws.size[bank.kind[step.object]]
        off = bank.off[step.object]
        area = np.exp(intercept + slope * bottom / size[0] + off)
        scale = float(
            np.clip(np.sqrt(area / bank.area[step.object]), SMALLEST, found.config.scale[1])
        )
    height, width = (
        max(1, round((side - 2) * scale * length / whole))
        for side, length, whole in zip(
            (int(bank.height[step.object]), int(bank.width[step.object])),
            size,
            bank.size,
            strict=True,
        )
    )
    left = step.x - width // 2
    return Place(step.object, scale, bottom - height, bottom, left, left + width)


def _bank(work: Work) -> Transplant:
    bank = work.shelf.objects()
    if bank is None or not len(bank.bank):
        raise UserError(
            "no objects were cut from the training pairs; add transplant to train.layouts and run "
            "`make repro`"
        )
    return bank


def filled(work: Work, mask: np.ndarray) -> np.ndarray:
    """Return the label with a mask filled from its rim inwards, the class that is nearest by."""
    soft = onehot(work.tensor().cpu(), work.shelf.real.classes.num_classes)
    return surroundings(soft, torch.from_numpy(mask)[None])[0].argmax(0).numpy().astype(np.uint8)


def _inside(work: Work, x: int, y: int) -> None:
    height, width = work.label.shape
    if x >= width or y >= height:
        raise UserError(f"({x}, {y}) lies outside the image of {width}x{height} pixels")
