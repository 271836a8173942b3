"""STAGE: write down what every row is made of, one file a row.

A cell depends on the file of its row alone, so that a changed number or set trains the rows that
use it again and no other: DVC cannot look up the sets of a row by its name.
"""

from collections.abc import Collection
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Sources:
    """What rows are made of: folders of sets, of real pairs and of masks, and what rows share."""

    pairs: Path
    real: Path
    trust: Path
    filters: Collection[str]
    advent: adapt.Config
    augment: AugmentParams

    @classmethod
    def read(cls, *, pairs: Path, real: Path, trust: Path) -> "Sources":
        """Read from params.yaml what rows share."""
        advent = read("adapt.advent", adapt.Config)
        return cls(pairs, real, trust, read_filters(), advent, read("augment", AugmentParams))


def main(*, pairs: Path, real: Path, trust: Path, out: Path) -> None:
    """Write the file of every row: its numbers, and the hashes of the sets and masks it uses."""
    rows = read_rows()
    sources = Sources.read(pairs=pairs, real=real, trust=trust)
    with replacing(out) as folder:
        for name, params in rows.items():
            write_text(folder / f"{name}.json", as_json(row_of(name, params, sources)))


def row_of(name: str, params: RowParams, sources: Sources) -> Row:
    """Return a row with the hashes of what it learns from; `params` has its counts."""
    return Row(
        row=name,
        advent=sources.advent if params.adapt == "advent" else None,
        **{word: value for word, value in sources.augment if word in params.augment},
        sets=used_sets(name, params, sources.pairs),
        masks=tuple(
            UsedMasks(set=entry, sha256=hash_of(sources.trust / entry / MASKS))
            for entry in params.sets
            if params.trust and entry in sources.filters
        ),
        real_pairs=manifest_of(enough(name, params, real_set(sources.real, params))),
        **params.model_dump(exclude={"sets"}),
    )


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
