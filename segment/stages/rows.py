"""STAGE: write down what every row is made of, one file a row.

A cell depends on the file of its row alone, so that a changed number or set trains the rows that
use it again and no other: DVC cannot look up the sets of a row by its name.
"""

from pathlib import Path

from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import replacing, write_text
from data.stage.params import PARAMS_FILE, read
from segment import adapt
from segment.batches.masks import MASKS
from segment.rows import (
    AugmentParams,
    Row,
    RowParams,
    UsedMasks,
    UsedSet,
    as_json,
    hash_of,
    manifest_of,
    read_rows,
    real_set,
)
from segment.trust import read_filters


def main(*, pairs: Path, real: Path, trust: Path, out: Path) -> None:
    """Write the file of every row: its numbers, and the hashes of the sets and masks it uses."""
    rows = read_rows()
    filters = read_filters()
    advent = read("adapt.advent", adapt.Config)
    augment = read("augment", AugmentParams)
    with replacing(out) as folder:
        for name, params in rows.items():
            keys = params.model_dump(exclude={"sets"})
            row = Row(
                row=name,
                advent=advent if params.adapt == "advent" else None,
                **{word: value for word, value in augment if word in params.augment},
                sets=used_sets(name, params, pairs),
                masks=tuple(
                    UsedMasks(set=entry, sha256=hash_of(trust / entry / MASKS))
                    for entry in params.sets
                    if params.trust and entry in filters
                ),
                real_pairs=manifest_of(enough(name, params, real_set(real, params))),
                **keys,
            )
            write_text(folder / f"{name}.json", as_json(row))


def enough(name: str, params: RowParams, pairs: Path) -> Path:
    """Return the folder of a row's real pairs; fewer than it asks for are a `UserError`."""
    if isinstance(params.pairs, int) and params.pairs > (count := len(PairSet(pairs))):
        raise UserError(
            f"{PARAMS_FILE}: rows.{name} has `pairs: {params.pairs}`, and there are {count} real "
            "pairs; write so many, or `pairs: all`"
        )
    return pairs


def used_sets(name: str, params: RowParams, pairs: Path) -> tuple[UsedSet, ...]:
    """Return the sets of a row with their hashes; one that is not there is a `UserError`."""
    found = []
    for entry in params.sets:
        folder = pairs / entry
        if not folder.is_dir():
            there = sorted(path.name for path in pairs.glob("[!.]*") if path.is_dir())
            raise UserError(
                f"{PARAMS_FILE}: rows.{name} names the set {entry!r}, and {folder} is not there; "
                f"add it to `sets`, or choose of {', '.join(there) or 'none'}"
            )
        found.append(
            UsedSet(name=entry, manifest=manifest_of(folder), num_pairs=len(PairSet(folder)))
        )
    return tuple(found)


if __name__ == "__main__":
    run(main)
