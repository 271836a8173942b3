"""What the masks of a dataset mean: ids, colours, and which class each of them is."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from data.pairs.classes import ClassInfo
from data.sources.files import to_ids
from data.sources.masks.coded import (
    FULL,
    GREY,
    GREYS,
    INDEXED,
    ONE_BIT,
    STEP16,
    WIDE,
    Coded,
    is_scaled,
    read_coded,
    voc_color,
)
from data.stage.errors import UserError


@dataclass(frozen=True)
class Meaning:
    """What masks mean: id -> class, and packed colour -> class where the colour is of one alone.

    `own` is class -> its packed colour, where one is recorded; `recorded` says that these are what
    the masks show, and not what a published table shows them in. `known` ends messages about a
    value without a class. `unlabelled` are the ids that nobody labelled, `others` the colours of
    such; `doubtful_white` says that white may be 1 or 255, `untold` that nobody said what 255 is.
    """

    ids: Mapping[int, int]
    own: Mapping[int, int]
    names: Sequence[str]
    known: str
    recorded: bool = False
    doubtful_white: bool = False
    untold: bool = False
    unlabelled: Collection[int] = ()
    others: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def colors(self) -> dict[int, int]:
        """Return packed colour -> class, `others` (of unlabelled pixels) among them."""
        shades = list(self.own.values())
        alone = {shade: k for k, shade in self.own.items() if shades.count(shade) == 1}
        return dict(self.others) | alone


def published(classes: Sequence[ClassInfo], ids: Mapping[int, int], known: str) -> Meaning:
    """Return what the masks of a published table mean, ids of one channel."""
    own = {index: pack(entry.color) for index, entry in enumerate(classes)}
    return Meaning(ids, own, [entry.name for entry in classes], known)


def pack(color: Sequence[int]) -> int:
    """Return a colour (red, green, blue) as one number of 24 bits."""
    return (color[0] << 16) + (color[1] << 8) + color[2]


def show_color(key: int) -> str:
    """Return a packed colour as words for a message."""
    return f"rgb({key >> 16}, {key >> 8 & 255}, {key & 255})"


def read_ids(path: Path, meaning: Meaning) -> np.ndarray:
    """Read a mask of ids as classes, uint8 [H, W], whatever its encoding.

    White of one bit is 1, or 255 where 1 is not a class; 16-bit values are ids, or grey levels in
    16 bits where they are none. Indices of a palette, and what is not an id, count by the colours
    they show, where a colour is recorded for each. Raises `UserError` for a palette that
    contradicts the colours of the classes, and for values without a class.
    """
    coded = read_coded(path)
    if coded.shades is None:
        if not meaning.recorded or any(color not in meaning.colors for color in coded.counts):
            raise UserError(
                f"{path} is a colour image, but labels are single-channel class ids here; use the "
                "id files, or the source `folder` with RGB values, or with the `color` of each id"
            )
        return to_ids(coded.values, meaning.colors, path, meaning.known)
    table = _TABLES[coded.kind](coded, path, meaning)
    return to_ids(coded.values, table, path, meaning.known)


def read_by_color(path: Path, colors: Mapping[int, int], known: str) -> np.ndarray:
    """Read a mask as classes, uint8 [H, W], by the colours that it shows, whatever its encoding."""
    coded = read_coded(path)
    if coded.shades is None:
        return to_ids(coded.values, colors, path, known, show=show_color)
    looks = coded.looks()
    table = {value: colors[shade] for value, shade in looks.items() if shade in colors}

    def show(value: int) -> str:
        return show_color(looks[value]) if value in looks else f"the id {value}"

    return to_ids(coded.values, table, path, known, show=show)


def _one_bit(coded: Coded, path: Path, meaning: Meaning) -> Mapping[int, int]:
    looks = _by_look(coded, meaning)
    if looks is not None:
        return looks
    if meaning.doubtful_white and 1 in coded.counts:
        raise UserError(
            f"{path} has one bit a pixel, whose white may be 1 or 255, and these differ here; save "
            "the mask as 8-bit PNG with the value that is meant"
        )
    white = 1 if 1 in meaning.ids else FULL
    return {bit: meaning.ids[v] for bit, v in ((0, 0), (1, white)) if v in meaning.ids}


def _grey(coded: Coded, path: Path, meaning: Meaning) -> Mapping[int, int]:
    if meaning.untold and FULL in coded.counts and not coded.counts.keys() - {0, FULL}:
        raise UserError(
            f"{path} holds 255 and no other value but 0, and 255 is not a class, so nobody would "
            "have labelled it; if so, write it into dataset.folder.unlabelled, else give it to a "
            "class, with `also: [255]` if it is another value of the same"
        )
    looks = _by_look(coded, meaning)
    if looks is None or any(v not in meaning.ids for v in looks):
        return looks or meaning.ids
    for value, shown in looks.items():
        if shown != meaning.ids[value]:
            raise UserError(
                f"{path} shows {show_color(value * GREYS)}, the color of {_named(meaning, shown)}, "
                f"by the value {value}, which is {_named(meaning, meaning.ids[value])}; save it "
                "with the values of the other masks"
            )
    return meaning.ids


def _by_look(coded: Coded, meaning: Meaning) -> dict[int, int] | None:
    """Return number -> class by what the numbers show, None unless each shows a recorded colour."""
    shown, known = coded.looks(), meaning.colors
    looks = {v: known[shade] for v, shade in shown.items() if shade in known}
    return looks if meaning.recorded and len(looks) == len(shown) else None


def _wide(coded: Coded, path: Path, meaning: Meaning) -> Mapping[int, int]:
    if all(v in meaning.ids for v in coded.counts) or not is_scaled(coded.counts):
        return meaning.ids
    levels = {v: meaning.ids[v // STEP16] for v in coded.counts if v // STEP16 in meaning.ids}
    # 65535 is white, so 255; not where nobody labelled what is 255, for it may be an object
    odd = 65535 in levels and FULL in meaning.unlabelled
    if len(levels) == len(coded.counts) and not odd:
        return levels
    return _by_look(coded, meaning) or meaning.ids


def _indexed(coded: Coded, path: Path, meaning: Meaning) -> Mapping[int, int]:
    looks = coded.looks()
    wrong = [v for v in looks if not _agrees(meaning, v, looks[v])]
    if not wrong:
        return meaning.ids
    several = len(looks) > 1
    if several and all(shade == v * GREYS for v, shade in looks.items()):
        return _grey(replace(coded, kind=GREY, shades=looks), path, meaning)
    voc = several and all(shade == voc_color(v) for v, shade in looks.items())
    if voc and not meaning.recorded:
        return meaning.ids
    if not voc and all(shade in meaning.colors for shade in looks.values()):
        return {v: meaning.colors[shade] for v, shade in looks.items()}
    taken = set(meaning.own.values()) | meaning.others.keys()
    first = next((v for v in wrong if looks[v] in taken), wrong[0])
    if (meaning.recorded and meaning.own) or looks[first] in taken:
        raise UserError(_contradiction(path, meaning, first, looks[first]))
    return meaning.ids


_TABLES: dict[str, Callable[[Coded, Path, Meaning], Mapping[int, int]]] = {
    ONE_BIT: _one_bit,
    GREY: _grey,
    WIDE: _wide,
    INDEXED: _indexed,
}


def _agrees(meaning: Meaning, index: int, shade: int) -> bool:
    """Say whether the colour of an index is that of its class, or of no class at all."""
    if index not in meaning.ids:
        return False
    of_class = meaning.ids[index]
    own = {shade for shade, other in meaning.others.items() if other == of_class}
    own |= {meaning.own[of_class]} if of_class in meaning.own else set()
    return shade in own if own else shade not in meaning.own.values()


def _named(meaning: Meaning, index: int) -> str:
    return repr(meaning.names[index]) if index < len(meaning.names) else "what nobody labelled"


def _contradiction(path: Path, meaning: Meaning, index: int, shade: int) -> str:
    shown = [_named(meaning, c) for c, own in meaning.own.items() if own == shade]
    of = f", the color of {' and '.join(shown)}" if shown else ", the color of no class"
    by = "has no class"
    if index in meaning.ids:
        own = meaning.own.get(meaning.ids[index])
        by = f"is {_named(meaning, meaning.ids[index])}" + (
            f" with the color {show_color(own)}" if own is not None else ""
        )
    fix = "save it again with the palette of the other masks"
    if meaning.recorded:
        fix += ", or correct `color` in dataset.folder.classes (without it the index counts)"
    return f"{path} shows {show_color(shade)}{of}, by the index {index}, which {by}; {fix}"
