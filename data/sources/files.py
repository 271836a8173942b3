"""What sources share: find files, match images with labels, decode them, or say what is wrong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from data.errors import UserError

T = TypeVar("T")

IMAGES = (".png", ".jpg", ".jpeg")
MAX_SHOWN = 4


@dataclass(frozen=True)
class RawPair:
    """An image file and its label file as they lie on disk; `id` is unique in the dataset.

    Where a label is spread over several files, `parts` are all of them in the order in which they
    are painted, and `label` is what messages name. `aspect` is width by height of the region that
    is kept of both, None for everything; it lies at `place` of what is left over, 0 for the top or
    left end, 1 for the other. `group` is what may not be split: a city, a video, a scene.
    """

    id: str
    split: str
    image: Path
    label: Path
    parts: tuple[Path, ...] = ()
    aspect: float | None = None
    place: float = 0.0
    group: str = ""


def require_folder(path: Path, holds: str) -> Path:
    """Return the folder, or raise `UserError` that says what its parent has instead."""
    if path.is_dir():
        return path
    parent = path.parent
    if not parent.is_dir():
        raise UserError(f"{path} is missing; set `dataset.root` to the folder that holds {holds}")
    there = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    listed = ", ".join(there) if there else "no folder"
    raise UserError(
        f"{path} is missing; {parent} has {listed}; correct `dataset.root` (the folder that holds "
        f"{holds}) or `dataset.splits`"
    )


def by_stem(files: Iterable[Path], suffix: str = "") -> dict[str, Path]:
    """Return stem -> file, without `suffix` at the stem's end; a stem may occur once.

    Hidden files, such as those that some systems lay beside every file, are left out.
    """
    found: dict[str, Path] = {}
    for file in sorted(files):
        if file.name.startswith("."):
            continue
        stem = file.stem.removesuffix(suffix)
        if stem in found:
            raise UserError(f"{found[stem]} and {file} have the same stem {stem!r}; rename one")
        found[stem] = file
    return found


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


def read_image(path: Path) -> Image.Image:
    """Decode an image file to RGB, upright by its EXIF orientation."""
    return _decode(path, lambda file: ImageOps.exif_transpose(file).convert("RGB"))


def read_values(path: Path) -> np.ndarray:
    """Decode a label file to its raw values, integers [H, W]; palette images give their indices."""

    def convert(file: Image.Image) -> np.ndarray:
        values = np.asarray(file)
        if values.ndim == 3:
            if (values[..., :3] != values[..., :1]).any():
                raise UserError(
                    f"{path} is a colour image, but labels are single-channel class ids here; "
                    "use the id files, or the source `folder` with RGB values"
                )
            values = values[..., 0]
        return values.astype(np.int32)

    return _decode(path, convert)


def read_colors(path: Path) -> np.ndarray:
    """Decode a colour-coded label file, uint8 [H, W, 3]."""
    return _decode(path, lambda file: np.asarray(file.convert("RGB")))


def _decode(path: Path, convert: Callable[[Image.Image], T]) -> T:
    try:
        with Image.open(path) as file:
            return convert(file)
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not readable ({reason}); replace or remove it") from None


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
    found, where, counts = _distinct(values)
    wrong = [
        (show(value), count)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True)
        if value not in table
    ]
    if wrong:
        raise UserError(f"{path} {_describe(wrong)}; {known}")
    ids = np.array([table[value] for value in found.tolist()], np.uint8)
    return ids[where].reshape(values.shape)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct values, the place of each pixel's among them, and how many it has."""
    low, high = int(values.min()), int(values.max())
    if high - low > 2**16:
        return np.unique(values, return_inverse=True, return_counts=True)
    # Counting is ten times faster than the sort in np.unique.
    counts = np.bincount((values - low).ravel())
    present = np.flatnonzero(counts)
    place = np.zeros(len(counts), np.intp)
    place[present] = np.arange(len(present))
    return present + low, place[values - low], counts[present]


def _describe(wrong: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{value} ({count} pixels)" for value, count in wrong[:MAX_SHOWN])
    more = f" and {len(wrong) - MAX_SHOWN} other values" if len(wrong) > MAX_SHOWN else ""
    return f"has label values out of the class table: {shown}{more}"
