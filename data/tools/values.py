"""What values masks hold, over all of them, and which classes these must be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data.sources.masks.classes import MAX_ID, Rgb
from data.sources.masks.coded import BLACK, COLORED, GREYS, INDEXED, WHITE, read_coded
from data.sources.masks.encodings import pack, show_color
from data.stage.errors import UserError
from data.tools.masks.held import NEVER_LABELLED, MaskFile, filling, unlabelled
from data.tools.masks.instances import OFFER, numbered_objects, single_pieces
from data.tools.masks.readings import Reading, agree

Show = Callable[[int], str]

MAX_CLASSES = 255
# Beyond this many values no mask that follows can make classes of them.
MAX_VALUES = 4096
MAX_SHOWN = 5
RARE_SHARE = 1e-4
# Smooth edges: most pixels have values that fill areas, and many other values fill none.
MIN_THIN, MIN_SOLID_SHARE = 3, 0.75
SOLID, BROAD = 3, 7
VOC_OUTLINE = pack((224, 224, 192))


@dataclass
class Value:
    """One value: first mask, pixels, masks that have it, whether it ever fills 3x3 and 7x7."""

    first: Path
    pixels: int = 0
    images: int = 0
    solid: bool = False
    broad: bool = False


@dataclass
class Masks:
    """All masks read so far; with `instances`, each object may have a number of its own."""

    instances: bool = False
    files: list[MaskFile] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class FoundClass:
    """A class of the masks; `share` of all pixels, `images` = number of masks that have it.

    `also` are other values of it, `last` is the last where it has all from `value` on.
    """

    value: int | Rgb
    name: str
    color: Rgb | None
    share: float
    images: int
    also: tuple[int | Rgb, ...] = ()
    last: int | None = None


@dataclass(frozen=True)
class Found:
    """The classes of `num_masks` masks, the values nobody labelled, and doubts in words."""

    classes: tuple[FoundClass, ...]
    unlabelled: tuple[int | Rgb, ...]
    doubts: tuple[str, ...]
    num_masks: int


def read_mask(masks: Masks, path: Path) -> tuple[int, int]:
    """Count the values of a mask file into `masks` and return its (height, width)."""
    coded = read_coded(path)
    masks.files.append(
        MaskFile(
            path,
            coded.kind,
            coded.mode,
            coded.palette,
            dict(coded.looks()),
            coded.counts,
            frozenset(filling(coded.values, SOLID)),
            frozenset(filling(coded.values, BROAD)),
            frozenset() if coded.kind == COLORED else single_pieces(coded.values, coded.counts),
        )
    )
    masks.seen.update(coded.counts)
    if len(masks.seen) > MAX_VALUES and not masks.instances:
        _check_exact(_table(masks.files, _as_it_is(masks.files)), show_color)
    return coded.values.shape


def classes_of(masks: Masks) -> Found:
    """Return the classes of all masks that were read.

    Raises `UserError` for masks whose edges were smoothed or that were a JPEG once, for more than
    255 values, for masks of a single value, and for masks that are stored in different ways, where
    it is not certain what belongs together.
    """
    files = masks.files
    numbered = numbered_objects(files)
    if masks.instances:
        return _two_classes(files)
    if numbered and len(masks.seen) > MAX_CLASSES:
        raise UserError(f"{numbered}, {len(masks.seen)} in all; {OFFER}")
    reading = agree(files)
    table = _table(files, reading)
    show = show_color if reading.by_color else str
    _check_exact(table, show, smooth=numbered is None)
    void = () if reading.by_color else unlabelled(table)
    total = sum(entry.pixels for entry in table.values())
    classes = []
    for index, key in enumerate(key for key in sorted(table) if key not in void):
        entry = table[key]
        value = _unpack(key) if reading.by_color else key
        color = _unpack(key) if reading.by_color else _palette_color(reading.palette, key)
        name = f"class_{index if reading.by_color else key}"
        also = [reading.also[key]] if key in reading.also else []
        also = tuple(_unpack(key) if reading.by_color else key for key in also)
        classes.append(FoundClass(value, name, color, entry.pixels / total, entry.images, also))
    doubts = _doubts(table, show, total, len(files))
    doubts += _outlines(table, reading, len(files), void)
    doubts += [] if numbered is None else [f"{numbered}; {OFFER}"]
    colors = tuple(_unpack(reading.palette[key]) for key in void if key in reading.palette)
    return Found(tuple(classes), (*void, *colors), (*doubts, *reading.notes), len(files))


def _two_classes(files: Sequence[MaskFile]) -> Found:
    """Return background, which is 0, and object, which is every other number."""
    colored = next((file for file in files if file.kind == COLORED), None)
    if colored is not None:
        raise UserError(
            f"{colored.path} has colours; --instances is for masks in which each object has a "
            "number of its own"
        )
    for file in files:
        black = [v for v, shade in file.looks.items() if shade == BLACK]
        if file.kind == INDEXED and black and 0 not in black:
            raise UserError(
                f"{file.path} shows the index {black[0]} in black, and not 0, which --instances "
                "takes for the background; save it with a palette that begins with black"
            )
    values = sorted({value for file in files for value in file.counts})
    if values[-1] > MAX_ID or values[0] < -1:
        raise UserError(
            f"the masks have numbers from {values[0]} to {values[-1]}; objects are numbered 1 to "
            f"{MAX_ID}, and -1 is what nobody labelled"
        )
    void = unlabelled(values)
    pixels = {"background": 0, "object": 0}
    images = dict(pixels)
    for file in files:
        for name in pixels:
            counts = [
                n
                for v, n in file.counts.items()
                if v not in void and (v > 0) == (name != "background")
            ]
            pixels[name] += sum(counts)
            images[name] += bool(counts)
    total = sum(sum(file.counts.values()) for file in files)
    found = [
        FoundClass(value, name, None, pixels[name] / total, images[name], last=last)
        for name, value, last in (("background", 0, None), ("object", 1, MAX_ID))
    ]
    return Found(tuple(found), void, (), len(files))


def _as_it_is(files: Sequence[MaskFile]) -> Reading:
    return Reading(True, [{value: value for value in file.counts} for file in files])


def _table(files: Sequence[MaskFile], reading: Reading) -> dict[int, Value]:
    """Return key -> what all masks have of it."""
    same = {other: key for key, other in reading.also.items()}
    table: dict[int, Value] = {}
    for file, keys in zip(files, reading.keys, strict=True):
        for value, key in keys.items():
            entry = table.setdefault(same.get(key, key), Value(file.path))
            entry.pixels += file.counts[value]
            entry.images += 1
            entry.solid |= value in file.solid
            entry.broad |= value in file.broad
    return table


def _check_exact(table: Mapping[int, Value], show: Show, smooth: bool = True) -> None:
    solid = [key for key, entry in table.items() if entry.solid]
    thin = sorted(key for key, entry in table.items() if not entry.solid)
    total = sum(entry.pixels for entry in table.values())
    filled = sum(table[key].pixels for key in solid) / total
    if (
        smooth
        and len(thin) >= MIN_THIN
        and 2 * len(thin) > len(solid)
        and filled >= MIN_SOLID_SHARE
    ):
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
            f"PNG, no photographs, no depth maps; {OFFER}"
        )
    if len(table) == 1:
        raise UserError(
            f"every mask holds one value only, {_list(list(table), show)}: there is nothing to "
            "tell apart; correct --masks"
        )


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


def _outlines(
    table: Mapping[int, Value], reading: Reading, count: int, void: Sequence[int]
) -> list[str]:
    """Return a doubt about a value that may be what nobody labelled, where it became a class."""
    if void or len(table) < 3:
        return []
    if not reading.by_color:
        odd = [max(table)] if max(table) in NEVER_LABELLED else []
    else:
        thin = [k for k, e in table.items() if not e.broad and 2 * e.images >= count]
        odd = [key for key in table if key in (VOC_OUTLINE, WHITE) or thin == [key]]
    return [
        f"{show_color(key) if reading.by_color else key} is taken for a class; if it marks pixels "
        "that nobody labelled, move it from `classes` to `unlabelled`"
        for key in sorted(odd)
    ]


def _palette_color(palette: Mapping[int, int], key: int) -> Rgb | None:
    """Return the colour of an index, unless the palette only repeats the index as a grey."""
    if key not in palette or all(color == index * GREYS for index, color in palette.items()):
        return None
    return _unpack(palette[key])


def _unpack(key: int) -> Rgb:
    return (key >> 16, key >> 8 & 255, key & 255)


def _list(keys: Sequence[int], show: Show) -> str:
    more = ", ..." if len(keys) > MAX_SHOWN else ""
    return ", ".join(map(show, keys[:MAX_SHOWN])) + more
