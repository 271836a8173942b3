"""Read the masks of a folder, whole or one per class, and write the lines of their classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.sources.decode import read_size
from data.sources.folder import check_turned, pair_files
from data.sources.masks.classes import Rgb
from data.stage.errors import UserError
from data.stage.progress import progress
from data.tools.masks.per_class import Apart, Seen, class_lines, doubts, read_apart
from data.tools.values import Found, Masks, classes_of, read_mask


@dataclass(frozen=True)
class Examined:
    """Images and their sizes (width, height), and what their masks gave: lines and notes."""

    images: Sequence[Path]
    sizes: Sequence[tuple[int, int]]
    suffixes: tuple[str, str]
    lines: Sequence[str]
    notes: Sequence[str]


def whole(
    root: Path, images: str, masks: str, suffixes: tuple[str, str], instances: bool
) -> Examined:
    """Read a mask for every image."""
    pairs = pair_files(root, images, masks, *suffixes)
    found = Masks(instances)
    sizes = _sizes([pair[1:] for pair in pairs], lambda mask: read_mask(found, mask))
    classes = classes_of(found)
    files = [image for _, image, _ in pairs]
    return Examined(files, sizes, suffixes, _class_lines(classes), classes.doubts)


def in_parts(apart: Apart) -> Examined:
    """Read a mask for every class of every image."""
    seen = Seen(len(apart.endings))
    parts = {masks[0][1]: masks for _, _, masks in apart.pairs}
    files = [image for _, image, _ in apart.pairs]
    pairs = list(zip(files, parts, strict=True))
    sizes = _sizes(pairs, lambda mask: read_apart(parts[mask], seen))
    suffixes = apart.image_suffix, ""
    return Examined(files, sizes, suffixes, class_lines(apart, seen), doubts(apart, seen))


def _sizes(
    pairs: Sequence[tuple[Path, Path]], read: Callable[[Path], tuple[int, int]]
) -> list[tuple[int, int]]:
    """Read every mask and return the sizes (width, height) of the images, which must be theirs."""
    if len(pairs) < 2:
        raise UserError(f"{pairs[0][0]} is the only image; train and val need one each")
    sizes = []
    with progress(len(pairs), "reading masks", "pairs") as advance:
        for image, mask in pairs:
            sizes.append(read_size(image))
            _same_size(image, sizes[-1], mask, read(mask))
            advance()
    return sizes


def _same_size(image: Path, size: tuple[int, int], mask: Path, shape: tuple[int, int]) -> None:
    check_turned(image, mask, shape)
    if size != shape[::-1]:
        raise UserError(
            f"{image} is {size[0]}x{size[1]}, its mask {mask} is {shape[1]}x{shape[0]}; both must "
            "have one size"
        )


def _class_lines(classes: Found) -> list[str]:
    lines = [
        "    # `value` is what the masks hold, `name` is yours to choose; `eval: false` keeps a",
        "    # class out of mIoU, `mirror: NAME` is what it becomes in a mirrored picture.",
        "    classes:",
    ]
    for entry in classes.classes:
        color = "" if entry.color is None else f", color: {list(entry.color)}"
        more = "" if entry.last is None else f", last: {entry.last}"
        more += f", also: {list(map(_listed, entry.also))}" if entry.also else ""
        lines.append(
            f"    - {{value: {_listed(entry.value)}{more}, name: {entry.name}{color}, eval: true}}"
            f"  # {entry.share:.1%} of pixels, {entry.images} of {classes.num_masks} masks"
        )
    return [
        *lines,
        "    # Values of pixels that nobody labelled; they become the class void, out of mIoU.",
        f"    unlabelled: {list(map(_listed, classes.unlabelled))}",
    ]


def _listed(value: int | Rgb) -> int | list[int]:
    return list(value) if isinstance(value, tuple) else value
