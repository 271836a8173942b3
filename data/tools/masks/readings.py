"""Whether the masks of a folder mean the same by their numbers or by what they show, or neither."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from data.sources.masks.coded import (
    BLACK,
    COLORED,
    GREY,
    GREYS,
    INDEXED,
    WHITE,
    WIDE,
    is_scaled,
)
from data.sources.masks.encodings import show_color
from data.stage.errors import UserError
from data.tools.masks.held import NEVER_LABELLED, MaskFile, unlabelled

DIM = 15  # grey levels up to it look black
LOW_DEPTH = 17  # 255 / 15: what 4 and 2 bits a pixel are multiples of, once they are read
BEYOND = 1 << 26  # plus an id that no colour stands for; colours end at white
ONE = GREYS  # what an id of 1 shows in 8 bits


@dataclass(frozen=True)
class Reading:
    """How all masks are read: number -> key for each, a key being an id or a packed colour.

    `palette` is id -> packed colour of indexed masks, `also` key -> other keys that mean the same.
    """

    by_color: bool
    keys: Sequence[Mapping[int, int]]
    palette: Mapping[int, int] = field(default_factory=dict)
    also: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def agree(files: Sequence[MaskFile]) -> Reading:
    """Return how masks are read so that the same class is the same key in all of them.

    Masks that are all stored in one way are read by their numbers. Others are read by what they
    show on a screen. Raises `UserError` where that leaves open what belongs together.
    """
    groups = _groups(files)
    return _alike(files) if len(set(groups)) == 1 else _mixed(files, groups)


def _groups(files: Sequence[MaskFile]) -> list[str]:
    """Return the name of the way in which each file is stored."""
    palettes: list[tuple[dict[int, int], set[bytes]]] = []
    colored = any(f.kind == COLORED for f in files)
    names = []
    for file in files:
        if file.kind == INDEXED:
            names.append(f"{INDEXED} {_palette_of(file, palettes)}")
        elif file.kind == GREY and file.mode == "RGB" and colored and not _is_dim(file):
            names.append(COLORED)
        else:
            names.append(file.kind)
    return names


def _palette_of(file: MaskFile, palettes: list[tuple[dict[int, int], set[bytes]]]) -> int:
    """Return the place of the palette that a file has; files agree in indices and colours."""
    looks = dict(file.looks)
    for place, (known, whole) in enumerate(palettes):
        back = {shade: index for index, shade in known.items()}
        fits = all(
            known.get(i, shade) == shade and back.get(shade, i) == i for i, shade in looks.items()
        )
        if fits or file.palette in whole:
            known.update(looks)
            whole.add(file.palette)
            return place
    palettes.append((looks, {file.palette}))
    return len(palettes) - 1


def _is_dim(file: MaskFile) -> bool:
    return 0 < max(file.counts) <= DIM


def _alike(files: Sequence[MaskFile]) -> Reading:
    """Return the reading by numbers, of masks that are all stored in one way."""
    keys = [{value: value for value in file.counts} for file in files]
    if files[0].kind == INDEXED:
        palette: dict[int, int] = {}
        for file in files:
            palette |= file.looks
        return Reading(False, keys, palette)
    if any(file.kind == COLORED for file in files):
        shown = [dict(file.looks) for file in files]
        return Reading(True, shown)
    scales = _two_scales(files) if files[0].kind in (GREY, WIDE) else None
    if scales is None:
        return Reading(False, keys)
    dim, bright = scales
    high = max(bright.counts)
    if any(set(file.counts) - {0, 1, high} for file in files):
        raise UserError(
            f"{dim.path} holds {_listed(dim.counts)}, and {bright.path} holds "
            f"{_listed(bright.counts)}, which looks like the same classes on another scale; which "
            "belongs to which is not certain: save all masks with the same values"
        )
    return Reading(False, keys, also={high: 1}, notes=(_pair_note(dim, bright),))


def _two_scales(files: Sequence[MaskFile]) -> tuple[MaskFile, MaskFile] | None:
    """Return a mask of small numbers and one of stretched ones, if every mask is one or the other.

    Small ones are 1 to m over all masks; stretched ones are as many, evenly spaced up to white, or
    steps of 17 as fewer bits a pixel have them. No mask holds both, as masks with ids and 255 do.
    """
    small, large, first = set(), set(), {}
    for file in files:
        values = {value for value in file.counts if value > 0}
        if not values:
            continue
        dim = max(values) <= DIM
        if not dim and min(values) <= DIM:
            return None
        (small if dim else large).update(values)
        first.setdefault(dim, file)
    count, ordered = len(small), sorted(large)
    if not small or len(large) != count or small != set(range(1, count + 1)):
        return None
    step = ordered[-1] / count
    even = all(abs(value - (i + 1) * step) <= 1 for i, value in enumerate(ordered))
    full = ordered[-1] in NEVER_LABELLED or (count > 1 and step % LOW_DEPTH == 0)
    return (first[True], first[False]) if even and full else None


def _mixed(files: Sequence[MaskFile], groups: Sequence[str]) -> Reading:
    """Return the reading by what masks show, of masks that are stored in several ways."""
    shown = _shown(files)
    both = _pair(files, shown)
    if both is None:
        _check_same_looks(files, groups, shown)
    _check_white(files, groups, shown)
    by_color = any(file.kind in (INDEXED, COLORED) for file in files)
    deep = [f for f, looks in zip(files, shown, strict=True) if max(looks.values()) > WHITE]
    if by_color and deep:
        other = next(file for file in files if file.kind in (INDEXED, COLORED))
        raise UserError(
            f"{deep[0].path} has ids that are not grey levels, and {other.path} has colours; masks "
            "must all be of one kind"
        )
    notes = _how(files, groups)
    if both is not None:
        notes = (*notes, _pair_note(*both))
    if by_color:
        return Reading(True, shown, also={WHITE: ONE} if both else {}, notes=notes)
    keys = [{v: _grey_id(key) for v, key in looks.items()} for looks in shown]
    return Reading(False, keys, also={255: 1} if both else {}, notes=notes)


def _shown(files: Sequence[MaskFile]) -> list[dict[int, int]]:
    """Return number -> key for each file: the packed colour, or an id that none stands for."""
    wide = [file.counts for file in files if file.kind == WIDE]
    stretched = all(is_scaled(c) or set(c) == {0} for c in wide)
    shown = []
    for file in files:
        looks = dict(file.looks)
        if file.kind == WIDE:
            scaled = is_scaled(file.counts) and (stretched or max(file.counts) == 65535)
            levels = {v: v // 257 if scaled else v for v in file.counts}
            looks = {v: k * GREYS if 0 <= k <= 255 else BEYOND + k for v, k in levels.items()}
        elif file.kind == INDEXED and len(set(looks.values())) < len(looks):
            raise UserError(
                f"{file.path} shows two indices in one colour, and other masks are stored in "
                "another way, so that only colours can be compared; save all masks in one way"
            )
        shown.append(looks)
    return shown


def _grey_id(key: int) -> int:
    return key - BEYOND if key > WHITE else key & 255


def _pair(
    files: Sequence[MaskFile], shown: Sequence[Mapping[int, int]]
) -> tuple[MaskFile, MaskFile] | None:
    """Return a mask of 0 and 1 and a mask of black and white, if all masks are one or the other."""
    first: dict[int, MaskFile] = {}
    for file, looks in zip(files, shown, strict=True):
        keys = set(looks.values()) - {BLACK}
        if keys > {ONE} or keys - {ONE, WHITE} or (ONE in keys and file.kind == INDEXED):
            return None
        for key in keys:
            first.setdefault(key, file)
    return (first[ONE], first[WHITE]) if len(first) == 2 else None


def _check_same_looks(
    files: Sequence[MaskFile], groups: Sequence[str], shown: Sequence[Mapping[int, int]]
) -> None:
    """Raise `UserError` for two colours that no way of storing masks has both.

    They may be one class in two colours, or two classes.
    """
    unions: dict[str, dict[int, MaskFile]] = {}
    for file, group, looks in zip(files, groups, shown, strict=True):
        for key in set(looks.values()) - {BEYOND - 1}:
            unions.setdefault(group, {}).setdefault(key, file)
    sets = [set(union) for union in unions.values()]
    for one, other in combinations(unions.values(), 2):
        for x in sorted(set(one) - set(other), reverse=True):
            for y in sorted(set(other) - set(one), reverse=True):
                if not any(x in keys and y in keys for keys in sets):
                    raise UserError(_unlike(one[x], x, other[y], y))


def _unlike(one: MaskFile, x: int, other: MaskFile, y: int) -> str:
    return (
        f"{_holds(one, x)}, and {_holds(other, y)}: the masks are stored in different ways, and "
        "whether these mean one class or two is not certain; save all masks in one way, or run "
        "this on those of one kind"
    )


def _holds(file: MaskFile, key: int) -> str:
    if key > WHITE or (file.kind in (GREY, WIDE) and key & 255 <= DIM):
        return f"{file.path} holds class ids such as {_grey_id(key)}"
    return f"{file.path} ({file.kind}) shows {show_color(key)}"


def _check_white(
    files: Sequence[MaskFile], groups: Sequence[str], shown: Sequence[Mapping[int, int]]
) -> None:
    """Raise `UserError` where 255 beside ids is what nobody labelled, and white elsewhere too."""
    ids = [f for f in files if f.kind in (GREY, WIDE) and 65535 not in f.counts]
    void = set(unlabelled({v for f in ids for v in f.counts})) & set(NEVER_LABELLED)
    if not void:
        return
    for file, looks in zip(files, shown, strict=True):
        if file not in ids and WHITE in looks.values():
            first = next(f for f in ids if void & set(f.counts))
            raise UserError(
                f"{file.path} ({file.kind}) shows white, and {first.path} has {void.pop()} beside "
                "class ids, as for pixels that nobody labelled; whether white is a class is not "
                "certain: save all masks in one way"
            )


def _pair_note(dim: MaskFile, bright: MaskFile) -> str:
    return (
        f"{dim.path} holds 0 and 1, {bright.path} black and white; 1 is taken for white: if it is "
        "not, correct `also`"
    )


def _how(files: Sequence[MaskFile], groups: Sequence[str]) -> tuple[str, ...]:
    first: dict[str, MaskFile] = {}
    for file, group in zip(files, groups, strict=True):
        first.setdefault(group, file)
    if all(file.kind == INDEXED for file in files):
        other = list(first.values())[1]
        return (
            f"the palette of {other.path} differs from that of other masks, so classes are "
            "read by their colours, not by their indices",
        )
    ways = {file.kind: file for file in reversed(first.values())}
    if len(ways) == 1:
        return ()
    listed = ", ".join(f"{file.path} ({kind})" for kind, file in ways.items())
    return (
        f"masks are stored in different ways, such as {listed}; they are read by what they "
        "show on a screen",
    )


def _listed(values: Iterable[int]) -> str:
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:5])) + (", ..." if len(ordered) > 5 else "")
