"""What sources share: find files, match images with labels, map values to ids, or complain."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.sources.decode import read_alpha as read_alpha

# Sources take what finds files and what decodes them from here alike.
from data.sources.decode import read_image as read_image
from data.sources.decode import read_size as read_size
from data.sources.decode import read_values as read_values
from data.sources.decode import window_rows as window_rows
from data.sources.reading.alpha import Alpha
from data.sources.reading.how import PLAIN, Box, How
from data.sources.reading.pixels import bands
from data.sources.reading.walk import Listed, count, nfc, permitted, slashed, walk, without_suffix
from data.sources.reading.walk import listed as listed
from data.stage.errors import UserError, some

IMAGES = (".png", ".jpg", ".jpeg")
MAX_SHOWN = 4
MAX_LISTED = 12


@dataclass(frozen=True)
class RawPair:
    """An image file and its label file as they lie on disk; `id` is unique in the dataset.

    Where a label is spread over several files, `parts` are all of them in the order in which they
    are painted, `layers` the class of each and `rest` that of the other pixels, and `label` is what
    messages name. `aspect` is width by height of the region that is kept of both, None for
    everything; it lies at `place` of what is left over, 0 for the top or left end, 1 for the other.
    `group` is what may not be split: a city, a video, a scene. `alpha` is what becomes of the
    image's alpha channel. `by_color` says that the label is read by the colours it shows, whatever
    the palette. `how` is how its files are read, `box` (left, top, right, bottom) the tile of both
    that it is, None for all.
    """

    id: str
    split: str
    image: Path
    label: Path
    parts: tuple[Path, ...] = ()
    aspect: float | None = None
    place: float = 0.0
    group: str = ""
    alpha: Alpha = "ignore"
    layers: tuple[int, ...] = ()
    rest: int = 0
    by_color: bool = False
    how: How = PLAIN
    box: Box | None = None


def as_it_is(
    root: Path, splits: Sequence[str], config: Any, size: tuple[int, int], scratch: Path
) -> Path:
    """Return the folder to read: the root itself, nothing has to be made (`prepare = as_it_is`)."""
    return root


def require_folder(path: Path, holds: str) -> Path:
    """Return the folder, or raise `UserError` that says what its parent has instead."""
    with permitted():
        if path.is_dir():
            return path
    parent = path.parent
    if not parent.is_dir():
        slash = "; write / between folders, not \\" if "\\" in str(path) else ""
        raise UserError(
            f"{path} is missing; set `dataset.root` to the folder that holds {holds}{slash}"
        )
    with permitted():
        there = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    more = f" and {len(there) - MAX_LISTED} others" if len(there) > MAX_LISTED else ""
    listing = ", ".join(there[:MAX_LISTED]) + more if there else "no folder"
    raise UserError(
        f"{path} is missing; {parent} has {listing}; correct `dataset.root` (the folder that holds "
        f"{holds}) or `dataset.splits`"
    )


def glob_files(root: Path, pattern: str, key: str) -> list[Path]:
    """Return the files below root that match a pattern as `walk` does, sorted by path.

    `key` is what messages call the pattern; one that leaves root, or finds nothing, is a
    `UserError`.
    """
    return [entry.path for entry in glob_listed(root, pattern, key)]


def glob_listed(root: Path, pattern: str, key: str) -> list[Listed]:
    """Return what `glob_files` does, with what the pattern's wildcards stand for."""
    path = Path(slashed(pattern, root))
    reason = "it is empty" if not path.parts else "it leaves the root" if _leaves(path) else ""
    if reason:
        raise UserError(
            f"{key} = {pattern!r} is not a pattern of files below {root} ({reason}); write one "
            "such as photos/*.jpg"
        )
    files = walk(root, str(path))
    if not files:
        raise UserError(f"no file matches {pattern!r} in {root}; correct {key}")
    return files


def _leaves(path: Path) -> bool:
    return path.is_absolute() or ".." in path.parts


def by_stem(files: Iterable[Path], suffix: str = "") -> dict[str, Path]:
    """Return stem -> file, without `suffix` at the stem's end; a stem may occur once."""
    return by_name(((file.stem, file) for file in files), suffix)


def by_name(named: Iterable[tuple[str, Path]], suffix: str = "") -> dict[str, Path]:
    """Return name -> file, in NFC and without `suffix` at its end; a name may occur once."""
    found: dict[str, Path] = {}
    for name, file in sorted(named, key=lambda entry: entry[1]):
        if not is_text(str(file)):
            raise UserError(f"{str(file)!r} has a name that is not UTF-8; rename it")
        stem = without_suffix(name, suffix)
        if stem in found:
            twice = "rename one"
            if found[stem].name != file.name and nfc(found[stem].name) == nfc(file.name):
                twice = "their names differ in the form of Unicode only (NFC, NFD): remove one"
            raise UserError(f"{found[stem]} and {file} have the same stem {stem!r}; {twice}")
        found[stem] = file
    return found


def is_text(name: str) -> bool:
    """Say whether a file name is UTF-8; old archives hold other encodings."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def match(
    images: Mapping[str, Path], labels: Mapping[str, Path], looked_in: str
) -> list[tuple[str, Path, Path]]:
    """Return (stem, image, label) sorted by stem; an image or label on its own is a `UserError`.

    Images and labels are tallied.
    """
    count(len(images), len(labels))
    return partners(images, labels, looked_in)


def partners(
    images: Mapping[str, Path], labels: Mapping[str, Path], looked_in: str, fix: str = ""
) -> list[tuple[str, Path, Path]]:
    """Return what `match` does, and tally nothing; `fix` is another way out of a missing label."""
    names = belonging(images, labels)
    require_labels([stem for stem in images if stem not in names], images, looked_in, fix)
    lonely = sorted(labels.keys() - set(names.values()))
    if lonely:
        raise UserError(
            f"{labels[lonely[0]]} has no image of stem {lonely[0]!r}{_more(lonely, labels)}; "
            "add the image or remove the label"
        )
    return [(stem, images[stem], labels[names[stem]]) for stem in sorted(images)]


def belonging(images: Mapping[str, Path], labels: Mapping[str, Path]) -> dict[str, str]:
    """Return the stem of an image -> that of its label.

    What has no partner of exactly its name may have one whose name differs in case alone.
    """
    names = {stem: stem for stem in images if stem in labels}
    if len(names) == len(images) == len(labels):
        return names
    left = [folded(stem for stem in stems if stem not in names) for stems in (images, labels)]
    return names | {left[0][key]: left[1][key] for key in left[0].keys() & left[1].keys()}


def require_labels(
    lonely: Iterable[str], images: Mapping[str, Path], looked_in: str, fix: str = ""
) -> None:
    """Raise `UserError` when there are images without a label."""
    stems = sorted(lonely)
    if stems:
        raise UserError(
            f"{images[stems[0]]} has no label {stems[0]!r} in {looked_in}{_more(stems, images)}; "
            f"add the label or remove the image{fix}"
        )


def folded(stems: Iterable[str]) -> dict[str, str]:
    """Return stems by their lower-case form, where that is of one stem alone."""
    groups: dict[str, list[str]] = {}
    for stem in stems:
        groups.setdefault(stem.casefold(), []).append(stem)
    return {key: group[0] for key, group in groups.items() if len(group) == 1}


def _more(stems: Sequence[str], files: Mapping[str, Path]) -> str:
    if len(stems) == 1:
        return ""
    return f" ({len(stems)} in all: {some(str(files[stem]) for stem in stems)})"


def to_ids(
    values: np.ndarray,
    table: Mapping[int, int],
    path: Path,
    known: str,
    show: Callable[[int], str] = str,
) -> np.ndarray:
    """Map raw values [H, W] to class ids uint8 by a table; `known` names what is allowed.

    Raises `UserError` with the offending values and how many pixels have them.
    """
    found, counts = distinct(values)
    wrong = [
        (show(value), count)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True)
        if value not in table
    ]
    if wrong:
        raise UserError(f"{path} {_describe(wrong)}; {known}")
    ids = np.array([table[value] for value in found.tolist()], np.uint8)
    out = np.empty(values.shape, np.uint8)
    low, high = int(found[0]), int(found[-1])
    if high - low > 2**16:
        for rows in bands(values):
            out[rows] = ids[np.searchsorted(found, values[rows])]
        return out
    place = np.zeros(high - low + 1, np.uint8)
    place[found - low] = ids
    for rows in bands(values):
        out[rows] = place[values[rows] - low]
    return out


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of integers [H, W], ascending, and how many pixels each has."""
    total: Counter[int] = Counter()
    for rows in bands(values):
        found, counts = _distinct(values[rows])
        total.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
    ascending = sorted(total)
    return np.array(ascending), np.array([total[value] for value in ascending])


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = int(values.min()), int(values.max())
    if high - low > 2**16:
        return np.unique(values, return_counts=True)
    # Counting is ten times faster than the sort in np.unique.
    counts = np.bincount((values - low).ravel())
    present = np.flatnonzero(counts)
    return present + low, counts[present]


def _describe(wrong: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{value} ({count} pixels)" for value, count in wrong[:MAX_SHOWN])
    more = f" and {len(wrong) - MAX_SHOWN} other values" if len(wrong) > MAX_SHOWN else ""
    return f"has label values out of the class table: {shown}{more}"
