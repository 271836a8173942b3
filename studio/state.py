"""The one object that says all of what the studio shows; a link holds it, and nothing else does."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from data.stage.errors import UserError
from data.stage.params import Params
from synth.making.drawing import Dice
from synth.making.looks import Style

MOST_INDEX = 9_999_999  # ids of pairs have seven digits
MOST_STEPS, MOST_POINTS = 60, 4000
MOST_FRAMES = 48
FACES = (
    "hair",
    "hat",
    "eye_g",
    "glasses",
    "skin",
    "eyes",
    "nose",
    "mouth",
    "ear_r",
    "cloth",
    "neck",
)

Index = Annotated[int, Field(ge=0, le=MOST_INDEX)]
Pixel = Annotated[int, Field(ge=0, lt=8192)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(max_length=200)]


class Thrown(Params):
    """The dice of a scene; alike, they are those of that pair of a set."""

    parent: Index = 0
    palette: Index = 0
    layout: Index = 0
    painter: Index = 0
    style: Index = 0

    def dice(self) -> Dice:
        """Return what production calls them."""
        return Dice(**self.model_dump())


class Scene(Params):
    """A scene from a palette: what a set of pairs says, and the dice of one of its pairs.

    `exactly` are shares that are locked, `absent` classes get no pixel, all others give way. `look`
    is the training pair whose look is painted, None where the dice choose by `style`.
    """

    layouts: Name
    painter: Name
    seed: int = Field(default=0, ge=0, lt=2**31)
    dice: Thrown = Thrown()
    exactly: dict[str, float] = Field(default_factory=dict)
    absent: tuple[str, ...] = ()
    style: Style = "one"
    look: Name | None = None


class Hole(Params):
    """A box, or a band as high as the image, is made anew."""

    kind: Literal["hole"] = "hole"
    left: Pixel
    top: Pixel
    width: Pixel
    height: Pixel
    dice: Index = 0


class Remove(Params):
    """The region that a pixel belongs to is painted over with what surrounds it."""

    kind: Literal["remove"] = "remove"
    x: Pixel
    y: Pixel


class Brush(Params):
    """A class is drawn along points (x, y) with a round brush of `size` pixels."""

    kind: Literal["brush"] = "brush"
    name: Name
    size: int = Field(ge=1, le=512)
    points: tuple[tuple[Pixel, Pixel], ...] = Field(min_length=1, max_length=MOST_POINTS)


class Resize(Params):
    """A class grows or shrinks to a share of the image; at 0 it is gone."""

    kind: Literal["resize"] = "resize"
    name: Name
    share: Share
    dice: Index = 0


class Borrow(Params):
    """A class is taken from another training pair, where it is there: `pair`, or by the dice."""

    kind: Literal["borrow"] = "borrow"
    name: Name
    pair: Name | None = None
    dice: Index = 0


class Put(Params):
    """An object of the bank is put where its lower edge has its middle in (x, y).

    `scale` is that of its pixels, None for the size that its class has in that row.
    """

    kind: Literal["put"] = "put"
    object: int = Field(ge=0, lt=10_000_000)
    x: Pixel
    y: Pixel
    scale: float | None = Field(default=None, gt=0.05, le=20)
    mirrored: bool = False


Step = Annotated[Hole | Remove | Brush | Resize | Borrow | Put, Field(discriminator="kind")]


class Edit(Params):
    """Edits of a real pair, one after the other; undoing leaves the last one out.

    `looks` are training pairs by class whose look that class has, where it is not the pair's own.
    """

    pair: Name
    painter: Name
    seed: int = Field(default=0, ge=0, lt=2**31)
    noise: Index = 0
    steps: tuple[Step, ...] = Field(default=(), max_length=MOST_STEPS)
    looks: dict[str, str] = Field(default_factory=dict)


class Walk(Params):
    """From the scene to another: only its palette, noise or look changes, to those of dice `to`.

    `nearer` is of the edit: the object that was put last comes nearer.
    """

    what: Literal["palette", "noise", "style", "nearer"] = "palette"
    to: Index = 1
    frames: int = Field(default=12, ge=2, le=MOST_FRAMES)


Shown = Literal["scene", "edit"]


class State(Params):
    """All of what is shown: a scene, an edit, a walk, and which of the first two is in hand."""

    scene: Scene
    edit: Edit
    walk: Walk = Walk()
    shown: Shown = "scene"


def parse(content: Any) -> State:
    """Read a state that a browser, a link or a file holds; `UserError` in one line."""
    try:
        return State.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise UserError(
            f"this is not a state of the studio: {where}: {first['msg'].lower()}; "
            "open the page without a link to start anew"
        ) from None


def digest(part: Params) -> str:
    """Return twelve hexadecimal digits that tell a part of a state from all others."""
    content = json.dumps(part.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:12]
