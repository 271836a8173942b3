"""Read the classes of a folder of masks off its files and write the `dataset` section for them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.sources.decode import read_alpha, read_image
from data.sources.masks.parts import ending_in
from data.sources.reading.alpha import note
from data.sources.reading.pairing import keyed, list_files, looked_in, matched
from data.sources.reading.walk import Listed, Tally, fixed_part, nfc, permitted, slashed, tallied
from data.stage.errors import UserError
from data.tools.masks.examine import in_parts, whole
from data.tools.masks.per_class import find_apart
from data.tools.suggest_splits import named_lists, named_only, split_rule, text

SIDES = (96, 128)
STEP = 32
MAX_SIDE = 4096
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
    with permitted(), tallied() as tally:
        return _suggest(images, masks, instances, tally)


def _suggest(images: str, masks: str, instances: bool, tally: Tally) -> Suggestion:
    root, images, masks = _below_one_root(images, masks)
    listed = list_files(root, images, masks, ("--images", "--masks"))
    apart = None if instances else find_apart(*listed)
    if apart is None:
        where, suffixes = looked_in(masks), _suffixes(root, *listed)
        image_files, mask_files = keyed(*listed, *suffixes)
    else:
        where, suffixes = ending_in(masks), (apart.image_suffix, "")
        image_files = apart.images
        mask_files = {key: parts[0].path for key, parts in apart.parts.items()}
    lists = named_lists(root, image_files, mask_files)
    only = None if lists is not None else named_only(root, image_files, mask_files)
    asked = next((it.keys for it in (lists, only) if it is not None), None)
    pairs = matched(image_files, mask_files, where, asked)
    if len(pairs) < 2:
        raise UserError(f"{pairs[0][1]} is the only image; train and val need one each")
    files = [image for _, image, _ in pairs]
    read = whole(pairs, instances) if apart is None else in_parts(pairs, apart)
    clear = [(str(file), alpha) for file in files if (alpha := read_alpha(file)) is not None]
    rule, splits, notes = split_rule(root, images, files, suffixes[0], lists)
    lines = [
        *head(root, read.sizes, splits),
        "  folder:",
        f"    images: {text(images)}",
        f"    masks: {text(masks)}",
        f"    image_suffix: {text(suffixes[0])}",
        f"    mask_suffix: {text(suffixes[1])}",
        *read.lines,
        *(only.lines(root) if only else []),
        *(["    alpha: ignore  # colours as stored; or laid on black, white"] if clear else []),
        *rule,
        "    seed: 0",
    ]
    alpha = note(clear, len(files), "ignore")
    said = (tally.left_out(), *image_notes(files, read.sizes), alpha, *read.notes, *notes)
    return Suggestion("\n".join(lines) + "\n", tuple(filter(None, said)))


def head(
    root: Path, sizes: Sequence[tuple[int, int]], splits: Sequence[str], source: str = "folder"
) -> list[str]:
    """Return the lines of the section before that of its source."""
    height, width = working_size(sizes)
    return [
        "# Written by `python -m data.tools.inspect --suggest`. Name the classes, then save it as",
        "# preset (presets/NAME.yaml), or put it in place of the section `dataset` of params.yaml.",
        "dataset:",
        f"  source: {source}",
        f"  root: {text(root.as_posix())}",
        f"  # Working size of {_range(sizes)} images; multiples of 32 suit every method.",
        f"  height: {height}",
        f"  width: {width}",
        "  # Objects that move to other pairs are cut from pairs that are so many times finer.",
        "  detail: 2.0",
        f"  splits: [{', '.join(splits)}]",
    ]


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
        path = Path(slashed(pattern, Path())).expanduser()
        path = path / "*" if path.is_dir() else path
        patterns.append(Path(os.path.normpath(path)))
    if len({path.is_absolute() for path in patterns}) > 1:
        patterns = [Path(os.path.normpath(Path.cwd() / path)) for path in patterns]
    fixed = [fixed_part(path.as_posix(), Path()) for path in patterns]
    for path, pattern in zip(fixed, patterns, strict=True):
        if not path.is_dir():
            raise UserError(f"{path} is not a folder, in {str(pattern)!r}; correct the glob")
    root = Path(os.path.commonpath(fixed)) if all(str(p) != "." for p in fixed) else Path()
    below = [Path(os.path.relpath(path, root)).as_posix() for path in patterns]
    here = Path.cwd().resolve()
    if here.is_relative_to(root.resolve()):
        raise UserError(
            f"the folder that holds both images and masks is {root.resolve()}, which holds this "
            "project too; move both into one folder of their own, such as data/raw/mine"
        )
    return root, below[0], below[1]


def _suffixes(root: Path, images: Sequence[Listed], masks: Sequence[Listed]) -> tuple[str, str]:
    """Return the endings of stems that make most images and masks belong together."""
    image_stems, mask_stems = ({nfc(e.path.stem) for e in files} for files in (images, masks))
    best, most = _best_suffixes(image_stems, mask_stems)
    lower = [{stem.lower() for stem in stems} for stems in (image_stems, mask_stems)]
    loose, more = _best_suffixes(*lower)
    if more > most:
        best = (_as_written(loose[0], image_stems), _as_written(loose[1], mask_stems))
    if not max(most, more):
        raise UserError(
            f"no image and mask in {root} belong together: there is {min(image_stems)!r} and "
            f"{min(mask_stems)!r}; name each mask like its image, with an ending such as _mask if "
            "you like"
        )
    return best


def _best_suffixes(image_stems: set[str], mask_stems: set[str]) -> tuple[tuple[str, str], int]:
    """Return the endings that make most stems equal, and how many."""
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
    return best, most


def _as_written(suffix: str, stems: set[str]) -> str:
    """Return a suffix in lower case as the first of some stems writes it."""
    written = (s for s in sorted(stems) if suffix and s.lower().endswith(suffix))
    return next((s[-len(suffix) :] for s in written), suffix)


def _common_start(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def image_notes(files: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Return what the user should know of images: that aspects differ, that they are dark."""
    notes = []
    aspects = [width / height for width, height in sizes]
    if max(aspects) > 1.1 * min(aspects):
        notes.append(
            f"the images are of {_range(sizes)} and of different aspect; all are resized to one "
            "size, which distorts some"
        )
    looked_at = files[:: max(1, len(files) // LOOKED_AT)]
    brightest = max(int(np.asarray(read_image(file)).max()) for file in looked_at)
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
