"""Several pair sets as one split: what exports and the card read of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.manifest import StartsFrom, manifest_hash
from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint


class Union:
    """The pairs of one or more sets, in order, with the interface of a `PairSet`.

    Raises `UserError` for sets of different classes or sizes, for an id that two have, for one
    source that was made in two ways, and for a set that starts from other real pairs.
    """

    def __init__(self, sets: Sequence[PairSet]) -> None:
        first = sets[0]
        self.sets = tuple(sets)
        self.path, self.classes, self.size = first.path, first.classes, first.size
        self.origin: dict[str, dict[str, str]] = {}
        sources: Counter[str] = Counter()
        for pairs in sets:
            if pairs.classes != first.classes or pairs.size != first.size:
                raise UserError(f"{pairs.path} has other classes or another size than {first.path}")
            for source, facts in pairs.origin.items():
                if self.origin.setdefault(source, facts) != facts:
                    raise UserError(
                        f"{pairs.path} has pairs of {source!r} that were made in another way than "
                        f"those of a set before it; export them alone"
                    )
            sources.update(pairs.manifest["sources"])
        self.sources = dict(sorted(sources.items()))
        self._ends = np.cumsum([len(pairs) for pairs in sets])
        self._require_different_ids()
        self._require_parents()

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def starts_from(self) -> StartsFrom | None:
        """Name the real set that has the parents, None where they are among the pairs."""
        named = [pairs.starts_from for pairs in self.sets if pairs.starts_from is not None]
        return StartsFrom(**named[0]) if named and "real" not in self.sources else None

    @property
    def fingerprint(self) -> str:
        """Say what the sets were made of, as a manifest does."""
        return fingerprint("union", [pairs.path for pairs in self.sets])

    def pairs(self) -> Iterator[Pair]:
        """Yield decoded pairs in order."""
        for pairs in self.sets:
            yield from pairs.pairs()

    def ids(self) -> list[str]:
        """Return all ids in order."""
        return [name for pairs in self.sets for name in pairs.ids()]

    def column(self, name: str) -> Any:
        """Return one plain column in order; see `PairSet.column`."""
        parts = [pairs.column(name) for pairs in self.sets]
        if isinstance(parts[0], np.ndarray):
            return np.concatenate(parts)
        return [value for part in parts for value in part]

    def encoded(self, row: int, names: Sequence[str]) -> list[bytes | None]:
        """Return stored pictures of one pair; see `PairSet.encoded`."""
        number = int(np.searchsorted(self._ends, row, side="right"))
        part = self.sets[number]
        return part.encoded(row - (int(self._ends[number]) - len(part)), names)

    def _require_different_ids(self) -> None:
        places: dict[str, Path] = {}
        for pairs in self.sets:
            for name in pairs.ids():
                if places.setdefault(name, pairs.path) != pairs.path:
                    raise UserError(f"id {name!r} is in {places[name]} and in {pairs.path}")

    def _require_parents(self) -> None:
        named = [(pairs.path, pairs.starts_from) for pairs in self.sets if pairs.starts_from]
        known = {manifest_hash(pairs.path) for pairs in self.sets}
        if "real" not in self.sources:
            known = {real["manifest"] for _, real in named[:1]}
        for path, real in named:
            if real["manifest"] not in known:
                raise UserError(
                    f"{path} starts from another real set ({real['path']}) than "
                    "what is exported with it; name that one, or export it alone"
                )
