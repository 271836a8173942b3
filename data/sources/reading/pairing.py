"""Which mask belongs to which image of a folder: by stem, or by stem and folders."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from data.sources.files import (
    belonging,
    by_name,
    by_stem,
    glob_listed,
    partners,
    require_labels,
)
from data.sources.reading.walk import Listed, count, without_suffix
from data.stage.errors import UserError, some
from data.stage.progress import log

KEYS = ("dataset.folder.images", "dataset.folder.masks")


def matched(
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    where: str,
    asked: Collection[str] | None,
) -> list[tuple[str, Path, Path]]:
    """Return (key, image, mask) of the keys asked for; other images need no mask.

    None asks for all, and then a mask needs an image too.
    """
    if asked is None:
        fix = ", or name the images to read in a list (dataset.folder.only)"
        return partners(images, masks, where, fix)
    names = belonging(images, masks)
    require_labels([key for key in asked if key not in names], images, where)
    alone = sorted(str(images[key]) for key in images if key not in names)
    if alone:
        log.info(f"without a mask, and in no split: {len(alone)} images ({some(alone)})")
    return [(key, images[key], masks[names[key]]) for key in sorted(asked)]


def looked_in(masks: str) -> str:
    """Return what messages call the place of masks."""
    return f"{masks} (see dataset.folder.mask_suffix)"


def list_files(
    root: Path, images: str, masks: str, keys: tuple[str, str] = KEYS
) -> tuple[list[Listed], list[Listed]]:
    """Return images and masks as listed, and tally them; a file that is a mask is not an image.

    `keys` are what messages call the two patterns.
    """
    mask_files = glob_listed(root, masks, keys[1])
    taken = {entry.path for entry in mask_files}
    image_files = [e for e in glob_listed(root, images, keys[0]) if e.path not in taken]
    if not image_files:
        raise UserError(
            f"every file that {images!r} matches in {root} is a mask of {masks!r} too; correct "
            f"{keys[0]} or {keys[1]}"
        )
    count(len(image_files), len(mask_files))
    return image_files, mask_files


def keyed(
    images: Sequence[Listed], masks: Sequence[Listed], image_suffix: str, mask_suffix: str
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return key -> image and key -> mask by the rules of `Config`, whether they belong or not."""
    files = (images, image_suffix), (masks, mask_suffix)
    if not all(repeats([entry.path for entry in listing], suffix) for listing, suffix in files):
        first, second = (by_stem((entry.path for entry in it), suffix) for it, suffix in files)
        return first, second
    return max(
        (_below(files, inside) for inside in (False, True)),
        key=lambda it: (len(it[0].keys() & it[1].keys()), _begun(*it)),
    )


def _begun(images: Mapping[str, Path], masks: Mapping[str, Path]) -> int:
    """Count the masks whose key begins with that of an image, as those of one class each do."""
    return sum(any(key[:end] in images for end in range(len(key))) for key in masks)


def _below(
    files: Sequence[tuple[Sequence[Listed], str]], inside: bool
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return key -> file of images and masks; keys are the folders that wildcards stand for.

    With `inside`, only what the wildcards of a folder's name stand for.
    """
    keyed = []
    for listing, suffix in files:
        names = []
        for entry in listing:
            folders = entry.stands if inside else entry.folders
            names.append(("/".join((*folders, entry.path.stem)), entry.path))
        # what is inside may be equal for two folders, and then it is not a key
        twice = inside and len({name for name, _ in names}) < len(names)
        keyed.append({} if twice else by_name(names, suffix))
    return keyed[0], keyed[1]


def repeats(files: Sequence[Path], suffix: str) -> bool:
    """Say whether stems occur twice."""
    return len({without_suffix(file.stem, suffix) for file in files}) < len(files)
