"""Suggest how pairs are divided into splits: by lists, names of folders, groups or shares."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.sources.files import belonging
from data.sources.reading.dividing import names_of
from data.sources.reading.walk import fixed_part, listed
from data.sources.splits import PARENT, by_list, group_of
from data.stage.errors import UserError

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}
# A group is what stands before the last number, or before the first separator.
PATTERNS = (r"([^/]+)[_-][0-9]+$", r"([^/_-]+)[_-][^/]*$")
MIN_GROUPS = 3
ENOUGH_FOR_TEST = 100
# More text files than these are not lists of images: one for each image, perhaps.
MAX_LISTS, MAX_BYTES = 100, 2**26


@dataclass(frozen=True)
class Lists:
    """Text files that name images, all of which have a mask: split -> file, and their keys."""

    files: Mapping[str, Path]
    keys: frozenset[str]

    def lines(self, root: Path) -> list[str]:
        """Return `key: file` for each, as the section `folder` takes it."""
        paths = {key: path.relative_to(root).as_posix() for key, path in self.files.items()}
        return [f"    {key}: {text(path)}" for key, path in paths.items()]


def named_lists(root: Path, images: Mapping[str, Path], masks: Mapping[str, Path]) -> Lists | None:
    """Return the lists train, val and perhaps test of one folder, those that name most images."""
    found: dict[Path, dict[str, tuple[Path, set[str]]]] = {}
    for path, keys in _lists(root, images, masks):
        split = next((s for s, names in SPLITS.items() if path.stem.lower() in names), None)
        if split is not None:
            found.setdefault(path.parent, {})[split] = path, keys
    options = []
    for lists in found.values():
        keys = [entry[1] for entry in lists.values()]
        if {"train", "val"} <= lists.keys() and sum(map(len, keys)) == len(set().union(*keys)):
            files = {split: lists[split][0] for split in SPLITS if split in lists}
            options.append(Lists(files, frozenset().union(*keys)))
    return max(options, key=lambda it: len(it.keys), default=None)


def named_only(root: Path, images: Mapping[str, Path], masks: Mapping[str, Path]) -> Lists | None:
    """Return the list that names most images, where not every image has a mask."""
    if len(belonging(images, masks)) == len(images):
        return None
    every = [
        Lists({"only": path}, frozenset(keys))
        for path, keys in _lists(root, images, masks)
        if len(keys) > 1
    ]
    return max(every, key=lambda it: len(it.keys), default=None)


def _lists(
    root: Path, images: Mapping[str, Path], masks: Mapping[str, Path]
) -> list[tuple[Path, set[str]]]:
    """Return text files below root that name images with a mask and nothing else."""
    names = belonging(images, masks)
    found = []
    try:
        files = listed(root, "**/*.txt")
    except UserError:  # of folders that images and masks do not lie in
        return []
    for path in files if len(files) <= MAX_LISTS else []:
        if path.stat().st_size > MAX_BYTES:
            continue
        try:
            keys = by_list(path, names_of(root, images), "")
        except UserError:
            continue
        if keys and keys <= names.keys():
            found.append((path, keys))
    return found


def split_rule(
    root: Path, images: str, files: Sequence[Path], suffix: str, lists: Lists | None
) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of the split rule, the splits, and notes; `lists` name the splits."""
    if lists:
        lines = ["    # These lists name the splits.", "    split: list", "    list:"]
        return [*lines, *(f"  {line}" for line in lists.lines(root))], list(lists.files), []
    named = _named_splits(root, images, files)
    if named:
        lines = ["    # The folders are named after the splits.", "    split: glob", "    glob:"]
        return [*lines, *(f"      {k}: {text(v)}" for k, v in named.items())], list(named), []
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
        "are not videos, places or patients but kinds of image, set `split: share`"
    )
    lines = [
        f"    # Whole groups go to one split: {len(groups)} were found. `share` cuts anywhere.",
        "    split: group",
        f"    group_by: {text(rule)}",
        *lines,
    ]
    return lines, ["train", "val"], [note]


def _named_splits(root: Path, images: str, files: Sequence[Path]) -> dict[str, str]:
    """Return split -> glob when the first folders below the fixed part are called after splits."""
    fixed = fixed_part(images, root)
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


def text(value: str) -> str:
    """Return a string as YAML takes it."""
    return json.dumps(value, ensure_ascii=False)
