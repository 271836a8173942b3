"""What sources share: find files, match images with labels, map values to ids, or complain."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.sources.decode import bands

# Sources take what finds files and what decodes them from here alike.
from data.sources.decode import read_colors as read_colors
from data.sources.decode import read_image as read_image
from data.sources.decode import read_size as read_size
from data.sources.decode import read_values as read_values
from data.stage.errors import UserError

IMAGES = (".png", ".jpg", ".jpeg")
MAX_SHOWN = 4
MAX_LISTED = 12


@dataclass(frozen=True)
class RawPair:
    """An image file and its label file as they lie on disk; `id` is unique in the dataset.

    Where a label is spread over several files, `parts` are all of them in the order in which they
    are painted, `layers` the class of each and `rest` that of the other pixels, and `label` is what
    messages name. `aspect` is width by height of the region that
    is kept of both, None for everything; it lies at `place` of what is left over, 0 for the top or
    left end, 1 for the other. `group` is what may not be split: a city, a video, a scene.
    `by_color` says that the label is read by the colours it shows, whatever the palette.
    """

    id: str
    split: str
    image: Path
    label: Path
    parts: tuple[Path, ...] = ()
    aspect: float | None = None
    place: float = 0.0
    group: str = ""
    layers: tuple[int, ...] = ()
    rest: int = 0
    by_color: bool = False


def require_folder(path: Path, holds: str) -> Path:
    """Return the folder, or raise `UserError` that says what its parent has instead."""
    if path.is_dir():
        return path
    parent = path.parent
    if not parent.is_dir():
        raise UserError(f"{path} is missing; set `dataset.root` to the folder that holds {holds}")
    there = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    more = f" and {len(there) - MAX_LISTED} others" if len(there) > MAX_LISTED else ""
    listed = ", ".join(there[:MAX_LISTED]) + more if there else "no folder"
    raise UserError(
        f"{path} is missing; {parent} has {listed}; correct `dataset.root` (the folder that holds "
        f"{holds}) or `dataset.splits`"
    )


def glob_files(root: Path, pattern: str, key: str) -> list[Path]:
    """Return the files below root that match a pattern, sorted; hidden files are left out.

    The ending is matched whatever its case: `*.jpg` finds IMG.JPG. `key` is what messages call the
    pattern; one that leaves root, or finds nothing, is a `UserError`.
    """
    ending = re.search(r"\.(\w+)$", pattern)
    cased = pattern
    if ending is not None:
        letters = (f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in ending[1])
        cased = pattern[: ending.start(1)] + "".join(letters)
    try:
        if ".." in Path(pattern).parts:
            raise ValueError("it leaves the root")
        files = sorted(file for file in root.glob(cased) if file.is_file())
    except (ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{key} = {pattern!r} is no pattern of files below {root} ({reason}); write one such "
            "as photos/*.jpg"
        ) from None
    files = [file for file in files if not file.name.startswith(".")]
    if not files:
        raise UserError(f"no file matches {pattern!r} in {root}; correct {key}")
    return files


def by_stem(files: Iterable[Path], suffix: str = "", below: Path | None = None) -> dict[str, Path]:
    """Return stem -> file, without `suffix` at the stem's end; a stem may occur once.

    With `below`, the path under that folder, without extension, takes the place of the stem.
    Hidden files, such as those that some systems lay beside every file, are left out.
    """
    found: dict[str, Path] = {}
    for file in sorted(files):
        if file.name.startswith("."):
            continue
        if not is_text(str(file)):
            raise UserError(f"{str(file)!r} has a name that is not UTF-8; rename it")
        name = file.stem if below is None else file.relative_to(below).with_suffix("").as_posix()
        stem = name.removesuffix(suffix)
        if stem in found:
            raise UserError(f"{found[stem]} and {file} have the same stem {stem!r}; rename one")
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
    """Return (stem, image, label) sorted by stem; an image or label on its own is a `UserError`."""
    lonely = sorted(images.keys() - labels.keys())
    if lonely:
        raise UserError(
            f"{images[lonely[0]]} has no label {lonely[0]!r} in {looked_in}"
            f"{_more(len(lonely))}; add the label or remove the image"
        )
    lonely = sorted(labels.keys() - images.keys())
    if lonely:
        raise UserError(
            f"{labels[lonely[0]]} has no image of stem {lonely[0]!r}{_more(len(lonely))}; "
            "add the image or remove the label"
        )
    return [(stem, images[stem], labels[stem]) for stem in sorted(images)]


def _more(count: int) -> str:
    return f" (and {count - 1} others)" if count > 1 else ""


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
