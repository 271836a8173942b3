"""Which images of a folder are read, and in which split: rules that such sources share."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from data.sources.files import glob_files
from data.sources.reading.alpha import Alpha
from data.sources.reading.pairing import repeats
from data.sources.reading.walk import nfc, slashed
from data.sources.splits import by_group, by_list, by_share, group_of
from data.stage.errors import UserError
from data.stage.params import Params


class Divided(Params):
    """How images of one's own are chosen, laid on a colour, and divided into splits.

    `alpha` says what becomes of the alpha channel of an image: `ignore` keeps the colours as they
    are stored, `black` and `white` lay the image on that.

    `only` is a text file under the root that names the images to read, one stem a line; others, and
    those that no list or glob names, need no mask.

    Splits are by `list` (text files as `only`), by `share` (seeded; shares of
    all pairs), by `glob` (one image glob per split) or by `group`: `group_by` is `parent` (the
    image's folder) or a regular expression with one group in parentheses, searched in the image's
    path without extension; whole groups then go to one split, near the shares of `share`.
    """

    alpha: Alpha = "ignore"
    only: str | None = None
    split: Literal["list", "share", "glob", "group"] = "share"
    list: dict[str, str] = Field(default_factory=dict)
    share: dict[str, float] = Field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    glob: dict[str, str] = Field(default_factory=dict)
    group_by: str | None = None
    seed: int = Field(default=0, ge=0)

    def names_images(self) -> bool:
        """Say whether some rule names images, so that others need no label."""
        return self.only is not None or self.split in ("list", "glob")


def chosen(
    root: Path, config: Divided, images: Mapping[str, Path], pattern: str
) -> dict[str, Path]:
    """Return the images, key -> file, that `only` names; `pattern` is what messages call them."""
    if config.only is None:
        return dict(images)
    named = by_list(root / slashed(config.only, root), names_of(root, images), pattern, "only")
    return {key: image for key, image in images.items() if key in named}


def grouped(
    root: Path, config: Divided, images: Mapping[str, Path], suffix: str = ""
) -> dict[str, str]:
    """Return key -> group of images, nothing where no rule says it."""
    if config.group_by is None:
        return {}
    return {
        key: group_of(image.relative_to(root), config.group_by, suffix)
        for key, image in images.items()
    }


def divided(
    root: Path,
    splits: Sequence[str],
    config: Divided,
    images: Mapping[str, Path],
    groups: Mapping[str, str],
    pattern: str,
) -> dict[str, set[str]]:
    """Return split -> keys of images; `pattern` is what messages call the images."""
    key = "share" if config.split == "group" else config.split
    rule = {"list": config.list, "share": config.share, "glob": config.glob}[key]
    for split in splits:
        if split not in rule:
            there = ", ".join(rule) or "nothing"
            raise UserError(
                f"dataset.folder.{key} has {there}, not {split!r}; add it, or take it out of "
                "dataset.splits"
            )
    if config.split == "share":
        return by_share(sorted(images), config.share, config.seed)
    if config.split == "group":
        if not groups:
            raise UserError(
                "dataset.folder.split is group, but dataset.folder.group_by is not set; write "
                "`parent`, or a pattern with one group in parentheses"
            )
        return by_group(groups, config.share, config.seed)
    if config.split == "glob":
        named = {file: key for key, file in images.items()}
        where = "dataset.folder.glob.{}".format
        found = {split: glob_files(root, rule[split], where(split)) for split in splits}
        return {split: {named[f] for f in files if f in named} for split, files in found.items()}
    written = names_of(root, images)
    lists = {split: root / slashed(rule[split], root) for split in splits}
    return {split: by_list(lists[split], written, pattern) for split in splits}


def names_of(root: Path, images: Mapping[str, Path]) -> dict[str, str]:
    """Return all that a list may write of images, in NFC -> their keys."""
    written = {}
    for key, image in images.items():
        path = image.relative_to(root)
        written |= {nfc(name.as_posix()): key for name in (path.with_suffix(""), path)}
    if not repeats(list(images.values()), ""):
        written |= {nfc(image.stem): key for key, image in images.items()}
    return written | {key: key for key in images}


def id_of(root: Path, image: Path) -> str:
    """Return the id of a pair: the path of its image under the root, without extension."""
    return nfc(image.relative_to(root).with_suffix("").as_posix()).replace("/", "-")


@contextmanager
def section(name: str) -> Iterator[None]:
    """Let messages of what is shared name the keys of the section `dataset.NAME`, not `folder`."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("dataset.folder", f"dataset.{name}")) from None
