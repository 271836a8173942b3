"""Read the masks of a folder, whole or one per class, and write the lines of their classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.sources.decode import read_size
from data.sources.folder import check_turned
from data.sources.masks.classes import Rgb
from data.sources.reading.sizes import Misfit, require_one_size
from data.stage.progress import progress
from data.tools.masks.per_class import Apart, Seen, class_lines, doubts, read_apart
from data.tools.values import Found, Masks, classes_of, read_mask

Pairs = Sequence[tuple[str, Path, Path]]
"""(key, image, mask) each; of masks of one class each, the first."""


@dataclass(frozen=True)
class Examined:
    """Sizes (width, height) of the images, and what their masks gave: lines and notes."""

    sizes: Sequence[tuple[int, int]]
    lines: Sequence[str]
    notes: Sequence[str]


def whole(pairs: Pairs, instances: bool) -> Examined:
    """Read a mask for every image."""
    found = Masks(instances)
    sizes = _sizes(pairs, lambda key, mask: read_mask(found, mask))
    classes = classes_of(found)
    return Examined(sizes, _class_lines(classes), classes.doubts)


def in_parts(pairs: Pairs, apart: Apart) -> Examined:
    """Read a mask for every class of every image."""
    seen = Seen(len(apart.endings))
    sizes = _sizes(pairs, lambda key, mask: read_apart(apart.parts[key], seen))
    return Examined(sizes, class_lines(apart, seen, len(pairs)), doubts(apart, seen, pairs[0]))


def _sizes(pairs: Pairs, read: Callable[[str, Path], tuple[int, int]]) -> list[tuple[int, int]]:
    """Read every mask and return the sizes (width, height) of the images, which must be theirs."""
    sizes, misfits = [], []
    with progress(len(pairs), "reading masks", "pairs") as advance:
        for key, image, mask in pairs:
            sizes.append(read_size(image))
            shape = read(key, mask)
            check_turned(image, mask, shape)
            size = shape[1], shape[0]
            if sizes[-1] != size:
                misfits.append(Misfit(image, sizes[-1], mask, size))
            advance()
    require_one_size(misfits, len(pairs))
    return sizes


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
