"""The real set that a set of synthetic pairs starts from: found, compared, its pairs by id."""

from collections.abc import Sequence
from pathlib import Path

from data.pairs.manifest import MANIFEST, Manifest, is_file, manifest_hash
from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.tools.checks.manifest import class_table, one_line


class Parents:
    """The real pairs of a set by their ids."""

    def __init__(self, real: PairSet) -> None:
        self.path, self._real = real.path, real
        sources = zip(real.ids(), real.column("source"), strict=True)
        self._rows = {name: row for row, (name, kind) in enumerate(sources) if kind == "real"}

    def __contains__(self, pair: str) -> bool:
        return pair in self._rows

    def pictures(self, pair: str, names: Sequence[str]) -> list[bytes | None]:
        """Return stored pictures of a pair; None for what cannot be read, a fault of that set."""
        try:
            return self._real.encoded(self._rows[pair], names)
        except UserError:
            return [None] * len(names)


def find(manifest: Manifest, real: Path | None) -> tuple[Parents | None, list[str]]:
    """Open the real set that a manifest names, or the one at `real`; return what is wrong with it.

    There is none, and nothing is wrong, where a set holds its parents itself.
    """
    if manifest.starts_from is None:
        return None, []
    path = Path(manifest.starts_from.path) if real is None else real
    says = f"starts from the real set {one_line(path)!r}"
    try:
        if not is_file(path / MANIFEST):
            return None, [f"{says}, which is not there; say where it is with --real PATH"]
        if manifest_hash(path) != manifest.starts_from.manifest:
            return None, [f"{says}, but another one is there now; make the set again"]
        found = PairSet(path)
        if (found.classes, found.size) != (class_table(manifest), manifest.size):
            return None, [f"{says}, which has other classes or another size"]
        return Parents(found), []
    except (UserError, OSError, ValueError) as error:
        return None, [f"{says}, which cannot be read ({one_line(error)})"]
