"""Find out which endings of names are classes, where every class has masks of its own."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.sources.masks.classes import REST, FolderClass, Labels
from data.sources.masks.parts import TASK, Part, finder, pair_parts, read_part
from data.sources.reading.pairing import keyed
from data.sources.reading.walk import Listed, nfc
from data.stage.errors import UserError
from data.tools.suggest_splits import text

TAG = re.compile(r"-tag-.+(?=-\d+$)")
SEPARATORS = "_-. "


@dataclass(frozen=True)
class Apart:
    """Images by key, and the masks of the classes of each.

    `endings` are the classes in order of number.
    """

    image_suffix: str
    endings: Sequence[str]
    pairing: str
    images: Mapping[str, Path]
    parts: Mapping[str, tuple[Part, ...]]


class Seen:
    """Pixels and images of each class, and pixels that several classes have."""

    def __init__(self, num_classes: int) -> None:
        """Start with nothing; class 0 is the rest."""
        self.pixels = np.zeros(num_classes + 1, np.int64)
        self.images = np.zeros(num_classes + 1, np.int64)
        self.overlapping = self.total = 0
        self.first: Path | None = None


def find_apart(images: Sequence[Listed], masks: Sequence[Listed]) -> Apart | None:
    """Return images and masks if several masks belong to an image and their endings to classes.

    None where they do not. Raises `UserError` where masks are named by the numbers of tasks, and
    the names of the images do not say which image that is.
    """
    names = [nfc(entry.path.stem) for entry in masks]
    if all(TASK.match(name) and TAG.search(name) for name in names):
        found = {tag[0] for name in names if (tag := TAG.search(name))}
        return _apart(*keyed(images, masks, "", ""), "", sorted(found), "number")
    for suffix in dict.fromkeys(("", _common_end([nfc(entry.path.stem) for entry in images]))):
        files = keyed(images, masks, suffix, "")
        ends = _endings(*files)
        if ends is not None:
            return _apart(*files, suffix, ends, "stem")
    return None


def read_apart(masks: Sequence[Part], seen: Seen) -> tuple[int, int]:
    """Count the masks of an image into `seen` and return their (height, width)."""
    classes: dict[int, np.ndarray] = {}
    for index, path in masks:
        mask = read_part(path)
        if mask.shape != classes.get(masks[0][0], mask).shape:
            raise UserError(
                f"{path} and {masks[0][1]} differ in size; masks of an image have one size"
            )
        classes[index] = classes.get(index, np.zeros_like(mask)) | mask
        if sum(other[mask].any() for name, other in classes.items() if name != index):
            seen.first = seen.first or path
    for index, mask in classes.items():
        seen.pixels[index] += int(mask.sum())
        seen.images[index] += 1
    seen.overlapping += int((np.sum(list(classes.values()), axis=0) > 1).sum())
    height, width = classes[masks[0].number].shape
    seen.total += height * width
    return height, width


def class_lines(apart: Apart, seen: Seen, num_images: int) -> list[str]:
    """Return the lines of the classes: those that cover most are painted first."""
    order = sorted(range(1, len(seen.pixels)), key=lambda i: (-seen.pixels[i], i))
    names = {ending: ending.removeprefix("-tag-").strip(SEPARATORS) for ending in apart.endings}
    repeated = {name for name, count in Counter(names.values()).items() if count > 1 or not name}
    lines = [
        f"    pairing: {apart.pairing}",
        "    # Every class has masks of its own: `suffix` ends their names. They are painted in",
        "    # this order: of two that overlap the later is seen; what none marks is the first.",
        "    classes:",
        f"    - {{name: {REST}, eval: true}}",
    ]
    for index in order:
        ending = apart.endings[index - 1]
        name = ending if names[ending] in {*repeated, REST} else names[ending]
        lines.append(
            f"    - {{suffix: {text(ending)}, name: {text(name)}, eval: true}}"
            f"  # {seen.pixels[index] / seen.total:.1%} of pixels, "
            f"{seen.images[index]} of {num_images} images"
        )
    return lines


def doubts(apart: Apart, seen: Seen, first: tuple[str, Path, Path]) -> list[str]:
    """Return what is doubtful about masks of one class each; `first` is one (key, image, mask)."""
    found = []
    if apart.pairing == "number":
        _, image, mask = first
        found.append(
            f"masks are named by tasks, and images by numbers in the same order: "
            f"{mask.name} is taken for {image.name}, and so on; look at the contact sheet"
        )
    if seen.overlapping:
        found.append(
            f"{seen.overlapping} pixels are in masks of several classes, first in {seen.first}; "
            "the class that is later in `classes` covers the others"
        )
    bases = Counter(re.sub(r"[-_]\d+$", "", ending) for ending in apart.endings)
    counted = [base for base, count in bases.items() if count > 1 and base]
    if counted:
        found.append(
            f"names end in {counted[0]!r} with several numbers, and each is a class of its own"
        )
    return found


def _apart(
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    suffix: str,
    endings: Sequence[str],
    pairing: str,
) -> Apart:
    classes = tuple(FolderClass(suffix=ending, name=ending) for ending in endings)
    parts = pair_parts(images, masks, Labels(classes=classes), pairing)
    return Apart(suffix, endings, pairing, images, parts)


def _endings(images: Iterable[str], masks: Iterable[str]) -> list[str] | None:
    """Return the endings that follow the keys of images in those of masks, if they are classes."""
    find, of_image, written = finder(images), {}, {}
    for key in masks:
        cuts = (n for n in range(len(key), 0, -1) if find(key[:n]) is not None)
        cut = next(cuts, None)
        if cut is None or key[cut:][:1] not in tuple(SEPARATORS):
            return None
        same = key[cut:].casefold()  # case does not tell classes apart
        written.setdefault(same, key[cut:])
        of_image.setdefault(find(key[:cut]), set()).add(same)
    counts = Counter(ending for endings in of_image.values() for ending in endings)
    words = all(re.search(r"[^\W\d_]", ending) for ending in counts)
    several = max(map(len, of_image.values())) > 1 and max(counts.values()) > 1
    known = words and several and 1 < len(counts) < 255
    return sorted(written.values()) if known else None


def _common_end(names: Sequence[str]) -> str:
    """Return what all names end in, from its first separator on."""
    end = min(names, key=len)
    while not all(name.endswith(end) for name in names):
        end = end[1:]
    start = min((end.find(c) for c in SEPARATORS if c in end), default=len(end))
    return end[start:]
