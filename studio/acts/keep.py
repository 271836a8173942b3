"""Keep: sets of pairs that somebody chose, each with the state that it was made from."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.pairs.manifest import MANIFEST, StartsFrom
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from data.pairs.shards import ShardWriter
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import read_json, remove, replacing, write_json
from data.stage.params import check_name
from studio.acts import edit, scene
from studio.shelf import Shelf
from studio.state import State, digest, parse

KEPT, PAIRS, REAL = "kept", "pairs", "real"
STATES = "states.json"  # beside a set: what is in its folder belongs to the set
MOST_PAIRS, LONGEST_NAME = 2000, 40
RESERVED = ("real", "test", "val", "train")


def pair_of(shelf: Shelf, state: State, name: str) -> Pair:
    """Return what is shown as production makes it."""
    if state.shown == "edit":
        return edit.show(shelf, state.edit, name).pair
    return scene.produced(shelf, state.scene, name)


def keep(shelf: Shelf, name: str, state: State) -> str:
    """Put what is shown into the set `name`, which is made when it is the first; return its id.

    A kept pair with dice that are alike equals the one that `produce` makes with that seed, but for
    id and source. Raises `UserError` for a bad name, and for a pair that is there already.
    """
    if len(name) > LONGEST_NAME:
        raise UserError(
            f"the name of a set has {LONGEST_NAME} letters at most; this has {len(name)}"
        )
    if check_name(name) in RESERVED:
        raise UserError(f"{name!r} names real pairs; choose another name")
    pair = pair_of(shelf, state, name)
    with _changing(shelf, name) as (folder, states):
        there = _pairs(folder)
        if pair.id in states and pair.id in {one.id for one in there}:
            raise UserError(f"{pair.id} is in {name} already")
        if len(there) >= MOST_PAIRS:
            raise UserError(
                f"{name} has {MOST_PAIRS} pairs, which is all that it takes; begin another set"
            )
        states[pair.id] = state.model_dump(mode="json")
        _write(shelf, folder, [*there, pair], states)
    return pair.id


def drop(shelf: Shelf, name: str, ids: Sequence[str]) -> int:
    """Delete pairs from a kept set, and the set with the last one; return how many are left."""
    with _changing(shelf, name) as (folder, states):
        there = _pairs(folder)
        unknown = set(ids) - {pair.id for pair in there}
        if unknown:
            raise UserError(f"{name} has no pair {min(unknown)!r}; somebody deleted it before")
        left = [pair for pair in there if pair.id not in set(ids)]
        states = {pair.id: states[pair.id] for pair in left if pair.id in states}
        if left:
            _write(shelf, folder, left, states)
        else:
            remove(folder)
            _file(folder).unlink(missing_ok=True)
        return len(left)


def state_of(shelf: Shelf, name: str, pair: str) -> State | None:
    """Return the state that a kept pair was made from, None for a pair of another set."""
    folder = folder_of(shelf.artifacts, name)
    content = _states(folder) if folder.parent.name == KEPT else {}
    return parse(content[pair]) if pair in content else None


def sets_of(artifacts: Path) -> list[str]:
    """Return all pair sets by where they are below the artifacts: kept, produced, real."""
    found = []
    for kind in (KEPT, PAIRS, REAL):
        for file in sorted((artifacts / kind).glob(f"*/{MANIFEST}")):
            if not file.parent.name.startswith("."):
                found.append(f"{kind}/{file.parent.name}")
    return found


def folder_of(artifacts: Path, name: str) -> Path:
    """Return the folder of a set by the name that `sets_of` gives it; `UserError` for others."""
    there = sets_of(artifacts)
    if name not in there:
        raise UserError(f"there is no set {name!r}; there is {', '.join(there) or 'none'}")
    return artifacts / name


def _write(shelf: Shelf, folder: Path, pairs: Sequence[Pair], states: dict[str, Any]) -> None:
    real, name = shelf.real, folder.name
    # before the set: a state without a pair is harmless, a pair without its state is not
    write_json(_file(folder), _states(folder) | states)
    with (
        replacing(folder) as partial,
        ShardWriter(
            partial,
            classes=real.classes,
            size=real.size,
            fingerprint=fingerprint({"states": [digest(parse(s)) for s in states.values()]}, []),
            prefix=name,
            origin={name: {"layouts": "studio", "painter": "studio"}},
            starts_from=StartsFrom.of(shelf.train.absolute()),
        ) as writer,
    ):
        for pair in pairs:
            writer.write(replace(pair, source=name))
    write_json(_file(folder), states)


@contextmanager
def _changing(shelf: Shelf, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Hold a set that no other studio changes meanwhile; yields its folder and its states."""
    above = shelf.artifacts / KEPT
    above.mkdir(parents=True, exist_ok=True)
    with (above / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = above / check_name(name)
        yield folder, _states(folder)


def _pairs(folder: Path) -> list[Pair]:
    return list(PairSet(folder).pairs()) if (folder / MANIFEST).is_file() else []


def _file(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.{STATES}"


def _states(folder: Path) -> dict[str, Any]:
    return dict(read_json(_file(folder))) if _file(folder).is_file() else {}
