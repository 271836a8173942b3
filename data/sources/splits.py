"""Rules that divide pairs into splits: shares, whole groups, lists of names, globs of files."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from data.pairs.spread import POOL, TRAIN, spread
from data.sources.files import RawPair
from data.sources.reading.walk import nfc, permitted, without_suffix
from data.stage.errors import UserError, some

PARENT = "parent"
HeldOut = Literal["val", "test"]
MAX_SHOWN = 6


def by_share(names: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, set[str]]:
    """Divide names into splits of the given shares, in a seeded order; shares add up to <= 1."""
    _check_shares(shares)
    order = np.random.default_rng(seed).permutation(len(names))
    parts, start, reached = {}, 0, 0.0
    for split, share in shares.items():
        reached += share
        stop = round(reached * len(names))
        parts[split] = {names[i] for i in order[start:stop]}
        start = stop
    return parts


def by_group(
    groups: Mapping[str, str], shares: Mapping[str, float], seed: int
) -> dict[str, set[str]]:
    """Divide names into splits, every group whole; `groups` maps a name to its group.

    The numbers of names come as near to the shares as moving or swapping whole groups, one step
    at a time from a seeded start, can bring them; every split gets at least one group. Raises
    `UserError` when there are fewer groups than splits.
    """
    _check_shares(shares)
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(groups):
        members[groups[name]].append(name)
    found = sorted(members)
    if len(found) < len(shares):
        raise UserError(
            f"dataset.folder.group_by finds {_counted(found)} ({_some(found)}) for "
            f"{len(shares)} splits, and a group is never cut; correct the pattern, or use the "
            "split rule `share`"
        )
    sizes = np.array([len(members[group]) for group in found])
    targets = np.array([*shares.values(), max(0.0, 1 - sum(shares.values()))]) * sizes.sum()
    place = _pack(sizes, targets, len(shares), np.random.default_rng(seed))
    parts: dict[str, set[str]] = {split: set() for split in shares}
    for number, split in enumerate(shares):
        for index in np.flatnonzero(place == number):
            parts[split].update(members[found[index]])
    return parts


def group_of(file: PurePath, rule: str, suffix: str = "") -> str:
    """Return the group of a file given by its path below the root.

    `rule` is `parent`, the name of the file's folder with everything above it, or a regular
    expression with one group in parentheses, searched in the path without extension and `suffix`.
    """
    if rule == PARENT:
        return nfc(file.parent.as_posix())
    try:
        pattern = re.compile(nfc(rule))
    except re.error as error:
        raise UserError(
            f"dataset.folder.group_by = {rule!r} is not a regular expression ({error}); write "
            "`parent`, or a pattern with one group in parentheses"
        ) from None
    if pattern.groups != 1:
        raise UserError(
            f"dataset.folder.group_by = {rule!r} has {pattern.groups} groups in parentheses; "
            "write exactly one, around what names a video, city or scene"
        )
    name = without_suffix(file.with_suffix("").as_posix(), suffix)
    match = pattern.search(name)
    if match is None or not match.group(1):
        raise UserError(
            f"dataset.folder.group_by = {rule!r} finds nothing in {name!r}; correct the pattern "
            "or rename the file"
        )
    return match.group(1)


def by_list(path: Path, keys: Mapping[str, str], images: str, key: str = "list") -> set[str]:
    """Read the names of a text file, one a line: keys of pairs, or paths of their images.

    `keys` maps whatever may be written, in NFC, to the key of a pair; `images` is what messages
    call them, `key` the parameter. Folders may be parted by the backslashes of Windows.
    """
    with permitted():
        if not path.is_file():
            raise UserError(f"{path} is missing; dataset.folder.{key} names it")
        content = path.read_bytes()
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; write one name a line") from None
    folded: dict[str, set[str]] = defaultdict(set)
    for name, pair in keys.items():
        folded[name.casefold()].add(pair)
    found, unknown = set(), []
    for line in filter(None, map(str.strip, lines)):
        forms = [form for name in (line, line.replace("\\", "/")) for form in _forms(nfc(name))]
        exact = next((keys[form] for form in forms if form in keys), None)
        loose = next((folded[form.casefold()] for form in forms if form.casefold() in folded), ())
        if exact is not None:
            found.add(exact)
        elif len(loose) == 1:
            found.update(loose)
        else:
            unknown.append(line)
    if unknown:
        more = f" ({len(unknown)} such lines: {some(unknown)})" if len(unknown) > 1 else ""
        raise UserError(f"{path} lists {unknown[0]!r}, which is not an image of {images}{more}")
    return found


def held_out(
    raw: Sequence[RawPair], hold_out: Mapping[HeldOut, Sequence[str]], splits: Sequence[str]
) -> list[RawPair]:
    """Return the pairs with whole groups held out of training, `hold_out` by split.

    Such a split is then those groups, from the training pairs and from its own; its other pairs
    are left out. Groups that no training pair has, and one in two splits, are a `UserError`.
    """
    groups = sorted({pair.group for pair in raw if pair.split == TRAIN and pair.group})
    goes = {group: split for split, held in hold_out.items() for group in held}
    there = f"the train split has {_some(groups) if groups else 'no groups'}"
    for split, held in hold_out.items():
        if split not in splits:
            raise UserError(f"dataset.hold_out names the split {split!r}; add it to dataset.splits")
        if unknown := [group for group in held if group not in groups]:
            raise UserError(f"dataset.hold_out.{split} names the group {unknown[0]!r}; {there}")
    if len(goes) < sum(map(len, hold_out.values())):
        raise UserError("dataset.hold_out names a group twice; it can be in one split alone")
    if groups and len(goes) == len(groups):
        raise UserError(f"dataset.hold_out leaves no training pair; {there}: leave one out")
    found = []
    for pair in raw:
        if pair.split == TRAIN:
            found.append(replace(pair, split=goes.get(pair.group, TRAIN)))
        elif pair.split not in hold_out or goes.get(pair.group) == pair.split:
            found.append(pair)
    return found


def parts_of(raw: Sequence[RawPair], limit: int | None) -> dict[str, list[RawPair]]:
    """Return the pairs by split, in order, training pairs no more than `limit`.

    These are spread evenly over groups (`data.pairs.spread`); all of them are the part `POOL`,
    which is there only when some had to go.
    """
    parts: dict[str, list[RawPair]] = {}
    for pair in raw:
        parts.setdefault(pair.split, []).append(pair)
    pool = parts[TRAIN]
    if limit is not None and limit < len(pool):
        chosen = np.sort(spread([pair.group for pair in pool])[:limit])
        parts |= {TRAIN: [pool[row] for row in chosen], POOL: pool}
    return parts


def _forms(name: str) -> tuple[str, ...]:
    """Return the ways to read a line: without a folder it may leave the extension out."""
    return (name, PurePath(name).stem) if PurePath(name).name == name else (name,)


def _check_shares(shares: Mapping[str, float]) -> None:
    total = sum(shares.values())
    if min(shares.values(), default=0) <= 0 or total > 1 + 1e-6:
        raise UserError(
            f"dataset.folder.share adds up to {total:g}; each must be above 0, and all at most 1"
        )


def _pack(
    sizes: np.ndarray, targets: np.ndarray, num_splits: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the place of every group among the targets, of which the first `num_splits` fill.

    The last target is what no split asked for; it may stay empty.
    """
    order = rng.permutation(len(sizes))
    place = np.full(len(sizes), -1)
    left = targets.copy()
    for index in order:
        place[index] = left.argmax()
        left[place[index]] -= sizes[index]
    while (step := _best_swap(sizes, place, targets, num_splits)) is not None:
        first, second, out, back = step
        for size, here, there in ((out, first, second), (back, second, first)):
            if size:
                place[next(i for i in order if place[i] == here and sizes[i] == size)] = there
    return place


def _best_swap(
    sizes: np.ndarray, place: np.ndarray, targets: np.ndarray, num_splits: int
) -> tuple[int, int, int, int] | None:
    """Return (place, other place, size of group to give, size of group to get back), or None.

    Size 0 stands for no group, so that a swap may be a move. An empty split costs more than any
    number of misplaced names.
    """

    def cost(count: np.ndarray, number: int) -> np.ndarray:
        empty = (count == 0) & (number < num_splits)
        return np.abs(count - targets[number]) + empty * 2 * sizes.sum()

    counts = np.bincount(place, weights=sizes, minlength=len(targets))
    gain, best = 1e-9, None
    for first, second in combinations(range(len(targets)), 2):
        out = np.unique([0, *sizes[place == first]])[:, None]
        back = np.unique([0, *sizes[place == second]])[None]
        now = cost(counts[first], first) + cost(counts[second], second)
        then = cost(counts[first] - out + back, first) + cost(counts[second] + out - back, second)
        row, column = np.unravel_index(then.argmin(), then.shape)
        if now - then[row, column] > gain:
            gain = now - then[row, column]
            best = (first, second, int(out[row, 0]), int(back[0, column]))
    return best


def _counted(groups: Sequence[str]) -> str:
    return "1 group" if len(groups) == 1 else f"{len(groups)} groups"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} others" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
