"""Read the classes of a folder of masks off its files and write the `dataset` section for them."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.sources.decode import read_image
from data.sources.files import glob_files
from data.sources.folder import fixed_part
from data.sources.splits import PARENT, group_of
from data.stage.errors import UserError
from data.tools.masks.examine import in_parts, whole
from data.tools.masks.per_class import find_apart

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}
# A group is what stands before the last number, or before the first separator.
PATTERNS = (r"([^/]+)[_-][0-9]+$", r"([^/_-]+)[_-][^/]*$")
MIN_GROUPS = 3
SIDES = (96, 128)
STEP = 32
MAX_SIDE = 4096
ENOUGH_FOR_TEST = 100
# Images that are decoded to see whether any light is in them, and the level below which none is.
LOOKED_AT, DARK = 8, 32


@dataclass(frozen=True)
class Suggestion:
    """The text of a `dataset` section, and what its user should know beside it."""

    text: str
    notes: tuple[str, ...]


def suggest(images: str, masks: str, instances: bool = False) -> Suggestion:
    """Return the `dataset` section for images and masks given as globs.

    With `instances`, every object has a number of its own in the masks: all are one class.

    Globs are absolute or relative to the current folder; a folder stands for all of its files.
    Every mask is read, so that a value of a single mask has its class too. Raises `UserError` in
    the words of `ingest`, and for masks that hold no classes: see `data.tools.values.classes_of`.
    """
    root, images, masks = _below_one_root(images, masks)
    apart = None if instances else find_apart(root, images, masks)
    if apart is None:
        read = whole(root, images, masks, _suffixes(root, images, masks), instances)
    else:
        read = in_parts(apart)
    height, width = working_size(read.sizes)
    rule, splits, notes = _split_rule(root, images, read.images, read.suffixes[0])
    lines = [
        "# Written by `python -m data.tools.inspect --suggest`. Name the classes, then save it as",
        "# preset (presets/NAME.yaml), or put it in place of the section `dataset` of params.yaml.",
        "dataset:",
        "  source: folder",
        f"  root: {_text(root.as_posix())}",
        f"  # Working size of {_range(read.sizes)} images; multiples of 32 suit every method.",
        f"  height: {height}",
        f"  width: {width}",
        f"  splits: [{', '.join(splits)}]",
        "  folder:",
        f"    images: {_text(images)}",
        f"    masks: {_text(masks)}",
        f"    image_suffix: {_text(read.suffixes[0])}",
        f"    mask_suffix: {_text(read.suffixes[1])}",
        *read.lines,
        *rule,
        "    seed: 0",
    ]
    return Suggestion(
        "\n".join(lines) + "\n", (*_image_notes(read.images, read.sizes), *read.notes, *notes)
    )


def working_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return (height, width), multiples of 32, for images of some sizes (width, height).

    The short side is 96 or 128, whichever keeps the median aspect better, or less where images
    are smaller; no method gains from pixels that are not there.
    """
    shapes = np.array(sizes, float)
    aspect = float(np.median(shapes[:, 0] / shapes[:, 1]))
    most = max(STEP, int(np.median(shapes.min(axis=1))) // STEP * STEP)
    long_per_short = max(aspect, 1 / aspect)
    shorts = [side for side in SIDES if side <= most] or [most]
    options = []
    for short in shorts:
        long = max(short, min(MAX_SIDE, round(short * long_per_short / STEP) * STEP))
        options.append((round(abs(np.log(long / short / long_per_short)), 3), short, long))
    _, short, long = min(options)
    return (short, long) if aspect >= 1 else (long, short)


def _below_one_root(images: str, masks: str) -> tuple[Path, str, str]:
    """Return the common parent of two globs, and the globs below it."""
    patterns = []
    for flag, pattern in (("--images", images), ("--masks", masks)):
        if not pattern:
            raise UserError(f"{flag} is empty; write a glob such as 'photos/*.jpg'")
        path = Path(pattern).expanduser()
        path = path / "*" if path.is_dir() else path
        patterns.append(Path(os.path.normpath(path)))
    if len({path.is_absolute() for path in patterns}) > 1:
        patterns = [Path(os.path.normpath(Path.cwd() / path)) for path in patterns]
    fixed = [fixed_part(path.as_posix()) for path in patterns]
    for path, pattern in zip(fixed, patterns, strict=True):
        if not path.is_dir():
            raise UserError(f"{path} is no folder, in {str(pattern)!r}; correct the glob")
    root = Path(os.path.commonpath(fixed)) if all(str(p) != "." for p in fixed) else Path()
    below = [Path(os.path.relpath(path, root)).as_posix() for path in patterns]
    here = Path.cwd().resolve()
    if here.is_relative_to(root.resolve()):
        raise UserError(
            f"the folder that holds both images and masks is {root.resolve()}, which holds this "
            "project too; move both into one folder of their own, such as data/raw/mine"
        )
    return root, below[0], below[1]


def _suffixes(root: Path, images: str, masks: str) -> tuple[str, str]:
    """Return the endings of stems that make most images and masks belong together."""
    mask_files = glob_files(root, masks, "--masks")
    taken = set(mask_files)
    image_stems = {f.stem for f in glob_files(root, images, "--images") if f not in taken}
    mask_stems = {file.stem for file in mask_files}
    if not image_stems:
        raise UserError(f"--images {images!r} and --masks {masks!r} match the same files in {root}")
    best, most = ("", ""), len(image_stems & mask_stems)
    ordered = sorted(image_stems)
    candidates = set()
    for mask in sorted(mask_stems)[:20]:
        place = np.searchsorted(ordered, mask)
        for image in ordered[max(0, place - 2) : place + 2]:
            start = _common_start(image, mask)
            for kept in {start, start.rstrip("_-. ")} - {""}:
                candidates.add((image[len(kept) :], mask[len(kept) :]))
    # among equals the shortest, and one that starts at a separator
    for pair in sorted(candidates, key=lambda p: (len(p[0] + p[1]), p)):
        cut = [
            {stem.removesuffix(suffix) for stem in stems if stem.endswith(suffix)}
            for stems, suffix in zip((image_stems, mask_stems), pair, strict=True)
        ]
        count = len(cut[0] & cut[1])
        separated = all(not suffix or suffix[0] in "_-. " for suffix in pair)
        if count > most or (count == most and count and separated and best != ("", "")):
            best, most = pair, count
    if not most:
        raise UserError(
            f"no image of {images!r} and mask of {masks!r} in {root} belong together: there is "
            f"{min(image_stems)!r} and {min(mask_stems)!r}; name each mask like its image, with "
            "an ending such as _mask if you like"
        )
    return best


def _common_start(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def _split_rule(
    root: Path, images: str, files: Sequence[Path], suffix: str
) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of the split rule, the splits, and notes."""
    named = _named_splits(root, images, files)
    if named:
        lines = ["    # The folders are named after the splits.", "    split: glob", "    glob:"]
        return [*lines, *(f"      {k}: {_text(v)}" for k, v in named.items())], list(named), []
    share = "{train: 0.8, val: 0.2}" if len(files) > 2 else "{train: 0.5, val: 0.5}"
    lines = ["    # Shares of the pairs; with a hundred pairs and more, give some to `test`."]
    if len(files) >= ENOUGH_FOR_TEST:
        lines = ["    # Add `test` here and to `splits`: a val score is looked at too often."]
    lines.append(f"    share: {share}")
    rule, groups = _groups(root, images, files, suffix)
    if rule is None:
        return ["    split: share", *lines], ["train", "val"], []
    shown = ", ".join(groups[:4]) + (", ..." if len(groups) > 4 else "")
    note = (
        f"the names show {len(groups)} groups ({shown}), each of which stays in one split; if they "
        "are no videos, places or patients but kinds of image, set `split: share`"
    )
    lines = [
        f"    # Whole groups go to one split: {len(groups)} were found. `share` cuts anywhere.",
        "    split: group",
        f"    group_by: {_text(rule)}",
        *lines,
    ]
    return lines, ["train", "val"], [note]


def _named_splits(root: Path, images: str, files: Sequence[Path]) -> dict[str, str]:
    """Return split -> glob when the first folders below the fixed part are called after splits."""
    fixed = fixed_part(images)
    parts = {file.relative_to(root / fixed).parts[0] for file in files}
    found = {
        split: (fixed / name / "**" / f"*{Path(images).suffix}").as_posix()
        for split, names in SPLITS.items()
        for name in sorted(parts)
        if name.lower() in names
    }
    return found if len(found) == len(parts) and {"train", "val"} <= found.keys() else {}


def _groups(
    root: Path, images: str, files: Sequence[Path], suffix: str
) -> tuple[str | None, list[str]]:
    """Return the first rule that finds several groups of several images, and the groups."""
    for rule in (PARENT, *PATTERNS):
        try:
            groups = sorted({group_of(f.relative_to(root), rule, suffix) for f in files})
        except UserError:
            continue
        if MIN_GROUPS <= len(groups) <= len(files) / 2:
            return rule, groups
    return None, []


def _image_notes(files: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> list[str]:
    notes = []
    aspects = [width / height for width, height in sizes]
    if max(aspects) > 1.1 * min(aspects):
        notes.append(
            f"the images are of {_range(sizes)} and of different aspect; all are resized to one "
            "size, which distorts some"
        )
    looked_at = files[:: max(1, len(files) // LOOKED_AT)]
    brightest = max(high for f in looked_at for _, high in read_image(f).getextrema())
    if brightest < DARK:
        notes.append(
            f"the images are nearly black, {brightest} of 255 at most: 16-bit levels are read as "
            "0 to 65535; where a camera used fewer, stretch all images alike"
        )
    return notes


def _range(sizes: Sequence[tuple[int, int]]) -> str:
    ordered = sorted(set(sizes), key=lambda size: size[0] * size[1])
    ends = dict.fromkeys(f"{size[0]}x{size[1]}" for size in (ordered[0], ordered[-1]))
    return " to ".join(ends)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
