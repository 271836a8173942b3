"""What values masks hold, over all of them, and which classes these must be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from data.sources.decode import GREY16, bands, decode_label, pack_colors, rgb
from data.sources.files import distinct
from data.sources.folder import Rgb, show_color
from data.stage.errors import UserError

Show = Callable[[int], str]

MAX_CLASSES = 255
# Beyond this many values no mask that follows can make classes of them.
MAX_VALUES = 4096
MAX_SHOWN = 5
NEVER_LABELLED = (255, 65535)
RARE_SHARE = 1e-4
# Smooth edges: most pixels have values that fill areas, and many other values fill none.
MIN_THIN, MIN_SOLID_SHARE = 3, 0.75


@dataclass
class Value:
    """One value: first mask, pixels, masks that have it, whether it ever fills 3x3 pixels."""

    first: Path
    pixels: int = 0
    images: int = 0
    solid: bool = False


@dataclass
class Masks:
    """The values of all masks read so far, as ids of one channel and as packed colours.

    `colored` is the first mask that only colours describe, `clashing` the first whose palette
    contradicts an earlier one, `deep` the first of 16 bits.
    """

    count: int = 0
    ids: dict[int, Value] = field(default_factory=dict)
    colors: dict[int, Value] = field(default_factory=dict)
    palette: dict[int, int] = field(default_factory=dict)
    colored: Path | None = None
    clashing: Path | None = None
    deep: Path | None = None


@dataclass(frozen=True)
class FoundClass:
    """A class of the masks; `share` of all pixels, `images` = number of masks that have it."""

    value: int | Rgb
    name: str
    color: Rgb | None
    share: float
    images: int


@dataclass(frozen=True)
class Found:
    """The classes of `num_masks` masks, the values nobody labelled, and doubts in words."""

    classes: tuple[FoundClass, ...]
    unlabelled: tuple[int, ...]
    doubts: tuple[str, ...]
    num_masks: int


def read_mask(masks: Masks, path: Path) -> tuple[int, int]:
    """Count the values of a mask file into `masks` and return its (height, width)."""
    values, shades = decode_label(path, lambda file: _values(masks, file, path))
    found, counts = distinct(values)
    filling = _filling(values)
    for key, pixels in zip(found.tolist(), counts.tolist(), strict=True):
        keys = [(masks.colors, key)] if shades is None else [(masks.ids, key)]
        if shades is not None and key in shades:
            keys.append((masks.colors, shades[key]))
        for table, name in keys:
            entry = table.setdefault(name, Value(path))
            entry.pixels += pixels
            entry.images += 1
            entry.solid |= key in filling
    masks.count += 1
    if len(masks.colors if masks.colored else masks.ids) > MAX_VALUES:
        classes_of(masks)
    return values.shape


def classes_of(masks: Masks) -> Found:
    """Return the classes of all masks that were read.

    Raises `UserError` for masks whose edges were smoothed or that were a JPEG once, for more than
    255 values, and for masks of a single value.
    """
    by_color = masks.colored or masks.clashing
    if by_color and masks.deep:
        raise UserError(
            f"{masks.deep} has 16-bit ids and {by_color} has colours; masks must all be of one kind"
        )
    table = masks.colors if by_color else masks.ids
    show = show_color if by_color else str
    _check_exact(table, show)
    unlabelled = () if by_color else _unlabelled(sorted(table))
    total = sum(entry.pixels for entry in table.values())
    classes = []
    for index, key in enumerate(key for key in sorted(table) if key not in unlabelled):
        entry = table[key]
        value = _unpack(key) if by_color else key
        color = _unpack(key) if by_color else _palette_color(masks.palette, key)
        name = f"class_{index if by_color else key}"
        classes.append(FoundClass(value, name, color, entry.pixels / total, entry.images))
    doubts = _doubts(table, show, total, masks.count)
    if not by_color and not unlabelled and len(table) > 2 and max(table) in NEVER_LABELLED:
        doubts.append(
            f"{max(table)} is taken for a class; if it marks pixels that nobody labelled, move it "
            "from `classes` to `unlabelled`"
        )
    if masks.clashing and not masks.colored:
        doubts.append(
            f"the palette of {masks.clashing} differs from that of other masks, so classes are "
            "read by their colours, not by their indices"
        )
    return Found(tuple(classes), unlabelled, tuple(doubts), masks.count)


def _values(
    masks: Masks, file: Image.Image, path: Path
) -> tuple[np.ndarray, Mapping[int, int] | None]:
    """Return integers [H, W] and the packed colour of each id, None when they are colours."""
    if file.mode == "P":
        table = np.array(file.getpalette("RGB"), np.uint8).reshape(-1, 1, 3)
        shades = dict(enumerate(pack_colors(table).ravel().tolist()))
        values = np.asarray(file)
        shades = {key: shades.get(key, 0) for _, key in file.getcolors(256)}
        if any(masks.palette.setdefault(key, color) != color for key, color in shades.items()):
            masks.clashing = masks.clashing or path
        return values, shades
    if file.mode in ("1", "L", *GREY16):
        values = np.asarray(file)
        if file.mode in GREY16:
            masks.deep = masks.deep or path
            return values.astype(np.int32), {}
        scale = 255 if file.mode == "1" else 1
        return values.astype(np.uint8), {v: scale * v * 0x010101 for v in range(256)}
    colors = rgb(file)
    if not (colors != colors[..., :1]).any():
        return colors[..., 0], {value: value * 0x010101 for value in range(256)}
    masks.colored = masks.colored or path
    return pack_colors(colors), None


def _filling(values: np.ndarray) -> set[int]:
    """Return the values that fill some square of 3x3 pixels."""
    found: set[int] = set()
    for rows in bands(values):
        band = values[rows.start : rows.stop + 2]
        across, down = band[:, 1:] == band[:, :-1], band[1:] == band[:-1]
        rows3 = across[:, 1:] & across[:, :-1]
        solid = rows3[:-2] & rows3[1:-1] & rows3[2:] & down[:-1, 1:-1] & down[1:, 1:-1]
        if solid.any():
            found.update(distinct(band[1:-1, 1:-1][solid][None])[0].tolist())
    return found


def _check_exact(table: Mapping[int, Value], show: Show) -> None:
    solid = [key for key, entry in table.items() if entry.solid]
    thin = sorted(key for key, entry in table.items() if not entry.solid)
    total = sum(entry.pixels for entry in table.values())
    filled = sum(table[key].pixels for key in solid) / total
    if len(thin) >= MIN_THIN and 2 * len(thin) > len(solid) and filled >= MIN_SOLID_SHARE:
        raise UserError(
            f"{table[thin[0]].first} and other masks have {len(thin)} values that fill no area, "
            f"such as {_list(thin, show)}: their edges were smoothed, or they were a JPEG once; "
            "masks must be lossless, one exact value a class: export them again as PNG, without "
            "anti-aliasing, resized to the nearest pixel"
        )
    if len(table) > MAX_CLASSES:
        last = max(table.values(), key=lambda entry: str(entry.first)).first
        raise UserError(
            f"the masks have {len(table)} values up to {last}, and at most {MAX_CLASSES} can be "
            "classes; masks must be lossless, one exact value a class: no JPEG that was saved as "
            "PNG, no photographs, depth maps or instance ids"
        )
    if len(table) == 1:
        raise UserError(
            f"every mask holds one value only, {_list(list(table), show)}: there is nothing to "
            "tell apart; correct --masks"
        )


def _unlabelled(values: Sequence[int]) -> tuple[int, ...]:
    """Return the last value when the others count up as ids do, and it is far from them."""
    *others, last = values
    plain = len(others) > 1 and others[-1] < 2 * len(others) + 8
    return (last,) if last in NEVER_LABELLED and plain and last > others[-1] + 1 else ()


def _doubts(table: Mapping[int, Value], show: Show, total: int, count: int) -> list[str]:
    odd = [
        key
        for key, entry in table.items()
        if entry.pixels < RARE_SHARE * total and (entry.images == 1 < count or not entry.solid)
    ]
    shown = [f"{show(key)} ({table[key].pixels} pixels, {table[key].first})" for key in sorted(odd)]
    if not shown:
        return []
    more = f" and {len(shown) - MAX_SHOWN} others" if len(shown) > MAX_SHOWN else ""
    return [f"hardly any pixel has {', '.join(shown[:MAX_SHOWN])}{more}: slips of the brush?"]


def _palette_color(palette: Mapping[int, int], key: int) -> Rgb | None:
    """Return the colour of an index, unless the palette only repeats the index as a grey."""
    if key not in palette or all(color == index * 0x010101 for index, color in palette.items()):
        return None
    return _unpack(palette[key])


def _unpack(key: int) -> Rgb:
    return (key >> 16, key >> 8 & 255, key & 255)


def _list(keys: Sequence[int], show: Show) -> str:
    more = ", ..." if len(keys) > MAX_SHOWN else ""
    return ", ".join(map(show, keys[:MAX_SHOWN])) + more
